# One customer with two subnets and addresses of both families, over hosts with provider addresses of both families. The subnets
# reach each other through the hosts; the prefixes behind Blue2, IPv4 and IPv6, are reached by next hops.
param([string] $WNVNIC = "eth0", [switch] $Clean)

$VMs = @"
Host,VM,VSID,MAC,Addresses
WNVHOST1,Blue1,5001,101010101105,10.0.0.5 fd00::5
WNVHOST2,Blue2,5001,101010101107,10.0.0.7 fd00::7
WNVHOST2,Blue3,5002,101010101109,10.0.2.9 fd00:0:0:2::9
"@ -split "`n" | Select-Object -Skip 1 | ForEach-Object {
    $field = $_.Split(",")
    [pscustomobject]@{ Host = $field[0]; Name = $field[1]; VSID = [int] $field[2]; MAC = $field[3]; Addresses = $field[4].Split(" ") }
}

$Underlay = [ordered]@{
    WNVHOST1 = "192.168.4.11", "fd00:4::11"
    WNVHOST2 = "192.168.4.22", "fd00:4::22"
}
$RDID = "{11111111-2222-3333-4444-000000005001}"
$Everywhere = @{ CimSession = $Underlay.Keys }

Remove-NetVirtualizationLookupRecord @Everywhere
Remove-NetVirtualizationCustomerRoute @Everywhere
Remove-NetVirtualizationProviderAddress @Everywhere
foreach ($VM in $VMs) { Set-VMNetworkAdapter -VMName $VM.Name -ComputerName $VM.Host -VirtualSubnetId 0 }
if ($Clean) { exit }

foreach ($WNVHost in $Underlay.Keys) {
    $index = (Get-NetAdapter $WNVNIC -CimSession $WNVHost).InterfaceIndex
    foreach ($address in $Underlay[$WNVHost]) {
        if ($address -like "*:*") { $length = 64 } else { $length = 24 }
        New-NetVirtualizationProviderAddress -InterfaceIndex $index -ProviderAddress $address -PrefixLength $length -CimSession $WNVHost | Out-Null
    }
}

foreach ($VM in $VMs) {
    foreach ($address in $VM.Addresses) {
        # Both families travel over IPv6: a virtual machine is at one provider address.
        $pa = $Underlay[$VM.Host] | Where-Object { $_ -match ":" }
        New-NetVirtualizationLookupRecord @Everywhere -CustomerAddress $address -VirtualSubnetID $VM.VSID -MACAddress $VM.MAC `
            -ProviderAddress $pa -Rule TranslationMethodEncap -VMName $VM.Name | Out-Null
    }
}

$routes = @(
    @(5001, "10.0.0.0/24", "0.0.0.0"), @(5001, "fd00::/64", "::"),
    @(5002, "10.0.2.0/24", "0.0.0.0"), @(5002, "fd00:0:0:2::/64", "::"),
    @(5001, "172.16.7.0/24", "10.0.0.7"), @(5001, "fd00:7::/64", "fd00::7")
)
foreach ($route in $routes) {
    $vsid, $prefix, $hop = $route
    New-NetVirtualizationCustomerRoute @Everywhere -RoutingDomainID $RDID -VirtualSubnetID $vsid -DestinationPrefix $prefix -NextHop $hop -Metric 255 | Out-Null
}

foreach ($VM in $VMs) {
    Get-VMNetworkAdapter $VM.Name -ComputerName $VM.Host | Set-VMNetworkAdapter -VirtualSubnetId $VM.VSID -PassThru |
        Format-Table VMName, VirtualSubnetId, IPAddresses
}
