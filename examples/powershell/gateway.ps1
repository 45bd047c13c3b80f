<#
Two customers with the same addresses behind gateways of their own. Each customer has a subnet for its virtual machines and one
for its gateway, with VSIDs of its own; what no record is about goes to the gateway by a record of type GatewayWildcard.

    netvirt powershell gateway.ps1            sets it up
    netvirt powershell gateway.ps1 -Clean     takes it down
#>
param([string] $WNVNIC = "eth0", [switch] $Clean)

$WNVHosts = "WNVHOST1", "WNVHOST2", "WNVHOST3"
$PA = @{ WNVHOST1 = "192.168.4.11"; WNVHOST2 = "192.168.4.22"; WNVHOST3 = "192.168.4.33" }

$WNVHosts | ForEach-Object {
    Remove-NetVirtualizationLookupRecord -CimSession $_
    Remove-NetVirtualizationCustomerRoute -CimSession $_
    Remove-NetVirtualizationProviderAddress -CimSession $_
    Get-VMNetworkAdapter -VMName * -ComputerName $_ | ? VirtualSubnetId -ne 0 | Set-VMNetworkAdapter -VirtualSubnetId 0
}
if ($Clean) { return }

foreach ($WNVHost in $WNVHosts) {
    $iface = Get-NetAdapter -Name $WNVNIC -CimSession $WNVHost
    if (!$iface) { throw "$WNVHost has no interface $WNVNIC" }
    $null = New-NetVirtualizationProviderAddress -CimSession $WNVHost -InterfaceIndex $iface.ifIndex -ProviderAddress $PA[$WNVHost] -PrefixLength 24
}

function Set-Customer {
    param(
        [Parameter(Mandatory = $true)] [string] $Name,
        [Parameter(Mandatory = $true)] [string] $RDID,
        [Parameter(Mandatory = $true)] [uint32] $VmSubnet,
        [Parameter(Mandatory = $true)] [uint32] $GatewaySubnet,
        [string] $VmMac,
        [string] $GatewayMac
    )
    $records = @(
        # The virtual machines, and the default gateway of their subnet, which is no machine.
        @{ CustomerAddress = "10.0.0.5"; VirtualSubnetID = $VmSubnet; MACAddress = $VmMac + "05"; ProviderAddress = $PA.WNVHOST1; VMName = "${Name}1" }
        @{ CustomerAddress = "10.0.0.7"; VirtualSubnetID = $VmSubnet; MACAddress = $VmMac + "07"; ProviderAddress = $PA.WNVHOST2; VMName = "${Name}2" }
        @{ CustomerAddress = "10.0.0.1"; VirtualSubnetID = $VmSubnet; MACAddress = $VmMac + "01"; ProviderAddress = "169.254.254.254"; VMName = "${Name}-DG" }
        # The gateway, and all that is behind it.
        @{ CustomerAddress = "10.0.1.2"; VirtualSubnetID = $GatewaySubnet; MACAddress = $GatewayMac; ProviderAddress = $PA.WNVHOST3; VMName = "${Name}GW" }
        @{ CustomerAddress = "0.0.0.0"; VirtualSubnetID = $GatewaySubnet; MACAddress = $GatewayMac; ProviderAddress = $PA.WNVHOST3; VMName = "${Name}Wildcard"; Type = "GatewayWildcard" }
    )
    foreach ($record in $records) {
        New-NetVirtualizationLookupRecord @record -Rule TranslationMethodEncap -CustomerID $RDID -CimSession $WNVHosts | Out-Null
    }
    $routes = @(
        @{ VirtualSubnetID = $VmSubnet; DestinationPrefix = "10.0.0.0/24"; NextHop = "0.0.0.0" }
        @{ VirtualSubnetID = $GatewaySubnet; DestinationPrefix = "10.0.1.0/24"; NextHop = "0.0.0.0" }
        @{ VirtualSubnetID = $GatewaySubnet; DestinationPrefix = "0.0.0.0/0"; NextHop = "10.0.1.2" }
    )
    foreach ($route in $routes) {
        New-NetVirtualizationCustomerRoute @route -RoutingDomainID $RDID -Metric 255 -CimSession $WNVHosts | Out-Null
    }
    Set-VMNetworkAdapter -VMName "${Name}1" -VirtualSubnetId $VmSubnet -ComputerName WNVHOST1
    Set-VMNetworkAdapter -VMName "${Name}2" -VirtualSubnetId $VmSubnet -ComputerName WNVHOST2
    Add-VMNetworkAdapterRoutingDomainMapping -VMName "${Name}GW" -ComputerName WNVHOST3 -RoutingDomainID $RDID `
        -RoutingDomainName $Name -IsolationID $GatewaySubnet -IsolationName "${Name} gateway"
}

Set-Customer -Name Blue -RDID "{11111111-2222-3333-4444-000000005001}" -VmSubnet 5001 -GatewaySubnet 5002 -VmMac 1010101011 -GatewayMac 101010101002
Set-Customer -Name Red -RDID "{11111111-2222-3333-4444-000000006001}" -VmSubnet 6001 -GatewaySubnet 6002 -VmMac 2020202020 -GatewayMac 202020201002

Select-NetVirtualizationNextHop -SourceCustomerAddress 10.0.0.5 -DestinationCustomerAddress 172.16.1.1 -SourceVirtualSubnetID 5001 -CimSession WNVHOST1 |
    Format-List DestinationCustomerAddress, NextHopAddress
