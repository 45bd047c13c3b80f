//! The cmdlets of the module Hyper-V that have to do with networks. A VM is known by its port, or by the name that lookup records
//! give it.

use std::net::IpAddr;

use model::{Kind, Limit, LookupRecord, MacAddress, Port, Resource, Vsid};

use super::parameter::{Parameter, Takes, guid_text, mac_text};
use super::{Call, Cmdlet};
use crate::hosts::{Question, Source, Step};
use crate::run::{Emit, Shell, Stop};
use crate::value::{Class, Object, Value, View, wildcard};

const ADAPTER: Class = Class {
    name: "Microsoft.HyperV.PowerShell.VMNetworkAdapter",
    view: View::Table(&[
        ("Name", "Name"),
        ("IsManagementOs", "IsManagementOs"),
        ("VMName", "VMName"),
        ("MacAddress", "MacAddress"),
        ("VirtualSubnetId", "VirtualSubnetId"),
        ("Status", "Status"),
        ("IPAddresses", "IPAddresses"),
    ]),
};
const VM: Class = Class {
    name: "Microsoft.HyperV.PowerShell.VirtualMachine",
    view: View::Table(&[("Name", "Name"), ("State", "State"), ("Status", "Status")]),
};
const MAPPING: Class = Class {
    name: "Microsoft.HyperV.PowerShell.VMNetworkAdapterRoutingDomainSetting",
    view: View::List(&["RoutingDomainID", "IsolationID", "VMName"]),
};
const TEST: Class = Class {
    name: "Microsoft.HyperV.PowerShell.VMNetworkAdapterConnectionTestResult",
    view: View::List(&["SenderIPAddress", "ReceiverIPAddress", "Reached", "Explanation"]),
};

/// 0 takes a port out of its subnet.
const VSID_OR_NONE: Takes = Takes::Integer(0, 16_777_214);
const COMPUTER: Parameter = Parameter::new("ComputerName", Takes::Text).many();
const PASS_THRU: Parameter = Parameter::new("PassThru", Takes::Switch);
const VM_NAME: Parameter = Parameter::new("VMName", Takes::Text).filter().at(0);
const ADAPTER_NAME: Parameter = Parameter::new("Name", Takes::Text).also(&["VMNetworkAdapterName"]);
const OF_ADAPTER: Parameter = Parameter::new("VMNetworkAdapter", Takes::Anything).many().by_value();
const OF_VM: Parameter = Parameter::new("VM", Takes::Anything).many();

/// All of them.
pub const CMDLETS: &[Cmdlet] = &[
    Cmdlet::new(
        "Get-VM",
        "Shows the VMs whose ports a host has.",
        &[Parameter::new("Name", Takes::Text).also(&["VMName"]).filter().at(0).by_value(), COMPUTER],
        get_vm,
    )
    .remote(),
    Cmdlet::new(
        "Get-VMNetworkAdapter",
        "Shows the ports of a host.",
        &[
            VM_NAME,
            ADAPTER_NAME,
            Parameter::new("VM", Takes::Anything).many().by_value(),
            Parameter::new("All", Takes::Switch),
            COMPUTER,
        ],
        get_adapter,
    )
    .remote(),
    Cmdlet::new(
        "Set-VMNetworkAdapter",
        "Puts a port into a VM subnet, and sets its MAC address and its bandwidth.",
        &[
            VM_NAME,
            ADAPTER_NAME,
            OF_ADAPTER,
            OF_VM,
            Parameter::new("VirtualSubnetId", VSID_OR_NONE),
            Parameter::new("StaticMacAddress", Takes::Mac),
            Parameter::new("MaximumBandwidth", Takes::Integer(0, 4_000_000_000_000)),
            PASS_THRU,
            COMPUTER,
        ],
        set_adapter,
    )
    .remote()
    .changing(),
    Cmdlet::new(
        "Add-VMNetworkAdapterRoutingDomainMapping",
        "Puts a port into a VM subnet of a routing domain.",
        &[
            VM_NAME,
            Parameter::new("VMNetworkAdapterName", Takes::Text),
            OF_ADAPTER,
            OF_VM,
            Parameter::new("RoutingDomainID", Takes::Guid).at(1).must(),
            Parameter::new("RoutingDomainName", Takes::Text).at(2),
            Parameter::new("IsolationID", super::netwnv::VSID).many().at(3).must(),
            Parameter::new("IsolationName", Takes::Text).many().at(4),
            PASS_THRU,
            COMPUTER,
        ],
        add_mapping,
    )
    .remote()
    .changing(),
    Cmdlet::new(
        "Get-VMNetworkAdapterRoutingDomainMapping",
        "Shows in which routing domain ports are.",
        &[
            VM_NAME,
            Parameter::new("VMNetworkAdapterName", Takes::Text),
            OF_ADAPTER,
            Parameter::new("RoutingDomainID", Takes::Guid),
            COMPUTER,
        ],
        get_mapping,
    )
    .remote(),
    Cmdlet::new(
        "Remove-VMNetworkAdapterRoutingDomainMapping",
        "Takes ports out of their VM subnets.",
        &[
            VM_NAME,
            Parameter::new("VMNetworkAdapterName", Takes::Text),
            OF_ADAPTER,
            Parameter::new("RoutingDomainID", Takes::Guid),
            PASS_THRU,
            COMPUTER,
        ],
        remove_mapping,
    )
    .remote()
    .changing(),
    Cmdlet::new(
        "Test-VMNetworkAdapter",
        "Says what becomes of a ping between two customer addresses, by the function that the kernel runs.",
        &[
            VM_NAME,
            ADAPTER_NAME,
            OF_ADAPTER,
            Parameter::new("Sender", Takes::Switch),
            Parameter::new("Receiver", Takes::Switch),
            Parameter::new("SenderIPAddress", Takes::Address).must(),
            Parameter::new("ReceiverIPAddress", Takes::Address).must(),
            Parameter::new("NextHopMacAddress", Takes::Mac),
            Parameter::new("IsolationId", VSID_OR_NONE),
            Parameter::new("SequenceNumber", Takes::Integer(0, i32::MAX as i64)),
            PASS_THRU,
            COMPUTER,
        ],
        test_adapter,
    )
    .remote(),
];

/// A port, and what else is known of its VM.
struct Nic {
    host: Option<String>,
    port: Port,
    bound: bool,
    vm: String,
    addresses: Vec<IpAddr>,
}

impl Nic {
    fn adapter(&self) -> Value {
        let port = &self.port;
        let addresses = self.addresses.iter().map(|address| Value::text(address.to_string())).collect();
        let status = if self.bound { "Ok" } else { "Disconnected" };
        let mut fields = vec![
            ("Name", Value::text(port.device.as_str())),
            ("IsManagementOs", Value::Boolean(false)),
            ("VMName", Value::text(&self.vm)),
            ("MacAddress", Value::text(mac_text(port.mac))),
            ("VirtualSubnetId", Value::Integer(port.vsid.map_or(0, |vsid| vsid.get().into()))),
            ("Status", Value::array(vec![Value::text(status)])),
            ("IPAddresses", Value::array(addresses)),
            ("Connected", Value::Boolean(self.bound)),
            ("Id", Value::text(port.name.as_str())),
        ];
        fields.extend(self.host.as_ref().map(|host| ("PSComputerName", Value::text(host))));
        let source = Source { host: self.host.clone(), resource: Resource::Port(port.clone()) };
        Object::of(&ADAPTER, fields, Some(source))
    }
}

/// The hosts that are asked: those of `-CimSession`, or of `-ComputerName`.
fn hosts(call: &Call<'_>) -> Result<Vec<Option<String>>, Stop> {
    match call.bound.items("ComputerName") {
        names if names.is_empty() => call.sessions(),
        _ if call.bound.has("CimSession") => call.fail("-ComputerName and -CimSession say the same; give one of them"),
        names => Ok(names.iter().map(|name| super::host(&name.to_text())).collect()),
    }
}

/// All ports of a host.
fn nics(shell: &mut Shell, call: &Call<'_>, host: Option<&str>) -> Result<Vec<Nic>, Stop> {
    let records: Vec<LookupRecord> = shell
        .hosts
        .list(host, Kind::LookupRecord)
        .or_else(|error| call.fail(error))?
        .into_iter()
        .filter_map(|entry| match entry.resource {
            Resource::LookupRecord(record) => Some(record),
            _ => None,
        })
        .collect();
    let ports = shell.hosts.list(host, Kind::Port).or_else(|error| call.fail(error))?;
    shell.step(call.at, (records.len() + ports.len()) as u64)?;
    let nic = |entry: crate::hosts::Entry| {
        let Resource::Port(port) = entry.resource else { return None };
        let of_port = || records.iter().filter(|it| it.mac == port.mac && port.vsid.is_none_or(|vsid| it.vsid == vsid));
        let mut addresses: Vec<IpAddr> =
            of_port().filter_map(|record| record.customer_address).filter(|it| !it.is_unspecified()).collect();
        addresses.dedup();
        let vm = of_port().find_map(|record| record.vm_name.clone()).unwrap_or_else(|| port.name.to_string());
        Some(Nic { host: host.map(str::to_owned), port, bound: entry.in_force, vm, addresses })
    };
    Ok(ports.into_iter().filter_map(nic).collect())
}

/// Whether a VM, or its port, has a name.
fn is_called(nic: &Nic, pattern: &str) -> bool {
    wildcard::matches(pattern, &nic.vm, false) || wildcard::matches(pattern, nic.port.name.as_str(), false)
}

/// The ports that a command is about. A name that no VM has is told.
fn chosen(shell: &mut Shell, call: &Call<'_>) -> Result<Vec<Nic>, Stop> {
    let mut found = Vec::new();
    let objects: Vec<Value> = ["VMNetworkAdapter", "VM"].iter().flat_map(|name| call.bound.items(name)).collect();
    if !objects.is_empty() {
        for object in objects {
            let source = match &object {
                Value::Object(object) => object.source.clone(),
                _ => None,
            };
            let Some(Source { host, resource: Resource::Port(port) }) = source else {
                return call.fail(format!(
                    "it takes objects of Get-VMNetworkAdapter or Get-VM, and this is {}",
                    object.sort()
                ));
            };
            found.extend(nics(shell, call, host.as_deref())?.into_iter().filter(|nic| nic.port.name == port.name));
        }
        return Ok(found);
    }
    let (names, adapter) =
        (call.bound.items("VMName"), call.bound.text("Name").or_else(|| call.bound.text("VMNetworkAdapterName")));
    if names.is_empty() && !call.bound.is_on("All") && !call.cmdlet.name.starts_with("Get-VMNetworkAdapterRouting") {
        return call.fail("it needs -VMName (a text; \"*\" is all VMs)");
    }
    for host in hosts(call)? {
        for name in names.iter().map(Value::to_text).filter(|name| !wildcard::is_wild(name)) {
            shell.hosts.imagine(host.as_deref(), &name).or_else(|error| call.fail(error))?;
        }
        let mut all = nics(shell, call, host.as_deref())?;
        if let Some(adapter) = &adapter {
            // HNV calls every adapter so that has no other name.
            let usual = |pattern: &str| pattern.eq_ignore_ascii_case("Network Adapter");
            all.retain(|nic| wildcard::matches(adapter, nic.port.device.as_str(), false) || usual(adapter));
        }
        for name in &names {
            let name = name.to_text();
            if !wildcard::is_wild(&name) && !all.iter().any(|nic| is_called(nic, &name)) {
                let known: Vec<&str> = all.iter().map(|nic| nic.vm.as_str()).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                shell.tell(call, format!("-VMName \"{name}\": the host has no port of such a VM; it has {known}"))?;
            }
        }
        found.extend(
            all.into_iter().filter(|nic| names.is_empty() || names.iter().any(|name| is_called(nic, &name.to_text()))),
        );
    }
    Ok(found)
}

fn get_vm(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let names = call.bound.items("Name");
    for host in hosts(call)? {
        let all = nics(shell, call, host.as_deref())?;
        for name in names.iter().map(Value::to_text).filter(|name| !wildcard::is_wild(name)) {
            if !all.iter().any(|nic| is_called(nic, &name)) {
                shell.tell(call, format!("-Name \"{name}\": the host has no port of such a VM"))?;
            }
        }
        for nic in all.iter().filter(|nic| names.is_empty() || names.iter().any(|name| is_called(nic, &name.to_text())))
        {
            let status = if nic.bound { "Operating normally" } else { "The device of its port is not there" };
            let mut fields = vec![
                ("Name", Value::text(&nic.vm)),
                ("State", Value::text(if nic.bound { "Running" } else { "Off" })),
                ("Status", Value::text(status)),
                ("NetworkAdapters", Value::array(vec![nic.adapter()])),
            ];
            fields.extend(host.as_ref().map(|host| ("PSComputerName", Value::text(host))));
            let source = Source { host: host.clone(), resource: Resource::Port(nic.port.clone()) };
            emit(shell, Object::of(&VM, fields, Some(source)))?;
        }
    }
    Ok(())
}

fn get_adapter(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    chosen(shell, call)?.iter().try_for_each(|nic| emit(shell, nic.adapter()))
}

/// Makes a port what it shall be, and shows it if that is wanted.
fn put(shell: &mut Shell, call: &Call<'_>, nic: &Nic, port: Port, emit: &mut Emit<'_>) -> Result<(), Stop> {
    if !call.should(shell, call.cmdlet.name, &nic.vm)? {
        return Ok(());
    }
    let step = Step::Put(Resource::Port(port.clone()));
    shell.hosts.change(nic.host.as_deref(), &[step]).or_else(|error| call.fail(error))?;
    if call.bound.is_on("PassThru") {
        for nic in nics(shell, call, nic.host.as_deref())?.iter().filter(|nic| nic.port.name == port.name) {
            emit(shell, nic.adapter())?;
        }
    }
    Ok(())
}

fn set_adapter(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    if !["VirtualSubnetId", "StaticMacAddress", "MaximumBandwidth"].iter().any(|name| call.bound.has(name)) {
        return call.fail("there is nothing to set; give -VirtualSubnetId, -StaticMacAddress or -MaximumBandwidth");
    }
    for nic in chosen(shell, call)? {
        let mut port = nic.port.clone();
        if let Some(vsid) = call.bound.integer("VirtualSubnetId") {
            port.vsid = subnet(call, "VirtualSubnetId", vsid)?;
        }
        if let Some(mac) = call.bound.text("StaticMacAddress") {
            port.mac = mac.parse::<MacAddress>().or_else(|error| call.fail(format!("-StaticMacAddress: {error}")))?;
        }
        if let Some(bits) = call.bound.integer("MaximumBandwidth") {
            let old = port.limits.egress;
            // What limits nothing any more goes.
            port.limits.egress =
                Limit::new(bandwidth(call, bits)?, old.and_then(|it| it.packets), old.and_then(|it| it.burst)).ok();
        }
        put(shell, call, &nic, port, emit)?;
    }
    Ok(())
}

fn subnet(call: &Call<'_>, parameter: &str, number: i64) -> Result<Option<Vsid>, Stop> {
    match u32::try_from(number) {
        Ok(0) => Ok(None),
        Ok(number) => Vsid::new(number)
            .map(Some)
            .or_else(|error| call.fail(format!("-{parameter} \"{number}\": {error}, or 0 for none"))),
        Err(_) => Ok(None),
    }
}

/// Bits a second, 0 for no limit.
fn bandwidth(call: &Call<'_>, bits: i64) -> Result<Option<model::Bandwidth>, Stop> {
    if bits == 0 {
        return Ok(None);
    }
    let kilobits = u32::try_from((bits / 1000).max(1)).unwrap_or(u32::MAX);
    let bandwidth = model::Bandwidth::new(kilobits);
    bandwidth.map(Some).or_else(|error| call.fail(format!("-MaximumBandwidth \"{bits}\": {error}")))
}

fn add_mapping(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let rdid = call.bound.text("RoutingDomainID").unwrap_or_default();
    let vsids = call.bound.items("IsolationID");
    let [vsid] = vsids.as_slice() else {
        return call.fail("-IsolationID: a port is in one VM subnet; give the VM a port for each");
    };
    let Some(vsid) = subnet(call, "IsolationID", vsid.to_integer().unwrap_or(0))? else { return Ok(()) };
    for nic in chosen(shell, call)? {
        if let Some(other) = nic.port.vsid.filter(|other| *other != vsid) {
            return call.fail(format!(
                "-IsolationID \"{vsid}\": {} is in VSID {other} already, and a port is in one VM subnet; give the VM a port for each \
                 routing domain, or take it out with Remove-VMNetworkAdapterRoutingDomainMapping",
                nic.vm
            ));
        }
        if let Some(other) = domain_of(shell, call, nic.host.as_deref(), vsid)?.filter(|other| *other != rdid) {
            return call.fail(format!("-RoutingDomainID \"{rdid}\": VSID {vsid} belongs to routing domain {other}"));
        }
        let port = Port { vsid: Some(vsid), ..nic.port.clone() };
        put(shell, call, &nic, port, emit)?;
    }
    Ok(())
}

/// The routing domain of a subnet, if a customer route says it.
fn domain_of(shell: &mut Shell, call: &Call<'_>, host: Option<&str>, vsid: Vsid) -> Result<Option<String>, Stop> {
    let routes = shell.hosts.list(host, Kind::CustomerRoute).or_else(|error| call.fail(error))?;
    Ok(routes.into_iter().find_map(|entry| match entry.resource {
        Resource::CustomerRoute(route) if route.vsid == vsid => Some(guid_text(route.rdid)),
        _ => None,
    }))
}

fn mapped(shell: &mut Shell, call: &Call<'_>) -> Result<Vec<(Nic, String)>, Stop> {
    let wanted = call.bound.text("RoutingDomainID");
    let mut found = Vec::new();
    for nic in chosen(shell, call)? {
        let Some(vsid) = nic.port.vsid else { continue };
        let domain = domain_of(shell, call, nic.host.as_deref(), vsid)?.unwrap_or_default();
        if wanted.as_ref().is_none_or(|wanted| *wanted == domain) {
            found.push((nic, domain));
        }
    }
    Ok(found)
}

fn get_mapping(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    for (nic, domain) in mapped(shell, call)? {
        let vsid = nic.port.vsid.map_or(0, |vsid| vsid.get().into());
        let fields = vec![
            ("RoutingDomainID", Value::text(domain)),
            ("IsolationID", Value::array(vec![Value::Integer(vsid)])),
            ("VMName", Value::text(&nic.vm)),
        ];
        let source = Source { host: nic.host.clone(), resource: Resource::Port(nic.port.clone()) };
        emit(shell, Object::of(&MAPPING, fields, Some(source)))?;
    }
    Ok(())
}

fn remove_mapping(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    for (nic, _) in mapped(shell, call)? {
        let port = Port { vsid: None, ..nic.port.clone() };
        put(shell, call, &nic, port, emit)?;
    }
    Ok(())
}

fn test_adapter(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let address = |name: &str| call.bound.text(name).and_then(|text| text.parse::<IpAddr>().ok());
    let (Some(from), Some(to)) = (address("SenderIPAddress"), address("ReceiverIPAddress")) else {
        return call.fail("it needs -SenderIPAddress and -ReceiverIPAddress");
    };
    if call.bound.is_on("Sender") == call.bound.is_on("Receiver") {
        return call.fail("it needs -Sender or -Receiver: on which side the VM is");
    }
    let chosen = chosen(shell, call)?;
    let [nic] = chosen.as_slice() else {
        return call.fail(format!("it takes one adapter, and {} fit; say which with -Name", chosen.len()));
    };
    // The receiver's answer is what a VM there would send.
    let way = if call.bound.is_on("Sender") { (from, to) } else { (to, from) };
    let question = Question { port: nic.port.name.to_string(), from: way.0, to: way.1 };
    let outcome = shell.hosts.ask(nic.host.as_deref(), &question).or_else(|error| call.fail(error))?;
    let fields = vec![
        ("SenderIPAddress", Value::text(from.to_string())),
        ("ReceiverIPAddress", Value::text(to.to_string())),
        ("Reached", Value::Boolean(outcome.travels)),
        ("Explanation", Value::text(outcome.explanation)),
    ];
    emit(shell, Object::value(&TEST, fields))
}
