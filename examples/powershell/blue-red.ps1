<#
Two customers, Blue and Red, with the same addresses on the same two hosts.

    netvirt powershell blue-red.ps1            sets it up
    netvirt powershell blue-red.ps1 -Clean     takes it down
#>
param(
    [string]   $WNVNIC = "eth0",
    [string[]] $WNVHosts = @("WNVHOST1", "WNVHOST2"),
    [switch]   $Clean
)

Import-Module NetWNV

# ---- Settings ---------------------------------------------------------------------------------------------------

$ProviderAddresses = @{ "WNVHOST1" = "192.168.4.11"; "WNVHOST2" = "192.168.4.22" }

$Customers = @(
    @{ Name = "Blue"; CustomerID = "{00000000-0000-0000-0000-000000005001}"; VSID = 5001
       RDID = "{11111111-2222-3333-4444-000000005001}"; MAC = "1010101011" }
    @{ Name = "Red"; CustomerID = "{00000000-0000-0000-0000-000000006001}"; VSID = 6001
       RDID = "{11111111-2222-3333-4444-000000006001}"; MAC = "2020202020" }
)

# ---- Cleanup ----------------------------------------------------------------------------------------------------

foreach ($WNVHost in $WNVHosts) {
    Remove-NetVirtualizationLookupRecord    -CimSession $WNVHost
    Remove-NetVirtualizationCustomerRoute   -CimSession $WNVHost
    Remove-NetVirtualizationProviderAddress -CimSession $WNVHost
    Get-VMNetworkAdapter -VMName * -ComputerName $WNVHost |
        where { $_.VirtualSubnetId -ne 0 } |
        Set-VMNetworkAdapter -VirtualSubnetId 0
}
if ($Clean) {
    Write-Host "Cleaned $($WNVHosts -join ' and ')."
    exit 0
}

# ---- Step 1: network virtualization on the hosts' NICs, and their provider addresses ---------------------------------

foreach ($WNVHost in $WNVHosts) {
    Enable-NetAdapterBinding $WNVNIC -ComponentID ms_netwnv -CimSession $WNVHost
    $iface = Get-NetAdapter $WNVNIC -CimSession $WNVHost
    New-NetVirtualizationProviderAddress -CimSession $WNVHost -InterfaceIndex $iface.InterfaceIndex `
        -ProviderAddress $ProviderAddresses[$WNVHost] -PrefixLength 24 | Out-Null
}

# ---- Step 2: the policy, the same on all hosts -----------------------------------------------------------------------

function Add-Record($Customer, [int] $Number, [string] $OnHost, [string] $VMName) {
    $record = @{
        CustomerAddress = "10.0.0.$Number"
        VirtualSubnetID = $Customer.VSID
        MACAddress      = $Customer.MAC + ("{0:D2}" -f $Number)
        ProviderAddress = $ProviderAddresses[$OnHost]
        Rule            = "TranslationMethodEncap"
        CustomerID      = $Customer.CustomerID
        VMName          = $VMName
    }
    New-NetVirtualizationLookupRecord @record -CimSession $WNVHosts | Out-Null
}

foreach ($Customer in $Customers) {
    $name = $Customer.Name
    Add-Record $Customer 5 "WNVHOST1" "${name}1"
    Add-Record $Customer 7 "WNVHOST2" "${name}2"
    # The subnet's own prefix is on-link.
    New-NetVirtualizationCustomerRoute -CimSession $WNVHosts -RoutingDomainID $Customer.RDID -VirtualSubnetID $Customer.VSID `
        -DestinationPrefix "10.0.0.0/24" -NextHop "0.0.0.0" -Metric 255 | Out-Null
}

# ---- Step 3: the virtual machines -------------------------------------------------------------------------------------

foreach ($Customer in $Customers) {
    for ($i = 1; $i -le 2; $i++) {
        Get-VMNetworkAdapter -VMName "$($Customer.Name)$i" -ComputerName "WNVHOST$i" |
            Set-VMNetworkAdapter -VirtualSubnetId $Customer.VSID
    }
}

Get-NetVirtualizationLookupRecord -CimSession WNVHOST1 |
    Sort-Object VirtualSubnetID, CustomerAddress |
    Format-Table VirtualSubnetID, CustomerAddress, MACAddress, ProviderAddress, VMName, Unusable -AutoSize
