//! The cmdlets of the module NetAdapter: interfaces of hosts, and whether network virtualization is on them.

use model::{Kind, Resource};

use super::parameter::{Parameter, Takes};
use super::{Call, Cmdlet};
use crate::hosts::{Interface, Step};
use crate::run::{Emit, Shell, Stop};
use crate::value::{Class, Object, Value, View, wildcard};

const ADAPTER: Class = Class {
    name: "Microsoft.Management.Infrastructure.CimInstance#ROOT/StandardCimv2/MSFT_NetAdapter",
    view: View::Table(&[
        ("Name", "Name"),
        ("InterfaceDescription", "InterfaceDescription"),
        ("ifIndex", "ifIndex"),
        ("Status", "Status"),
        ("MacAddress", "MacAddress"),
        ("MtuSize", "MtuSize"),
    ]),
};
const BINDING: Class = Class {
    name: "Microsoft.Management.Infrastructure.CimInstance#ROOT/StandardCimv2/MSFT_NetAdapterBindingSettingData",
    view: View::Table(&[
        ("Name", "Name"),
        ("DisplayName", "DisplayName"),
        ("ComponentID", "ComponentID"),
        ("Enabled", "Enabled"),
    ]),
};
/// The component that is network virtualization.
const COMPONENT: &str = "ms_netwnv";

const NAME: Parameter =
    Parameter::new("Name", Takes::Text).also(&["ifAlias", "InterfaceAlias"]).filter().at(0).by_name();

/// All of them.
pub const CMDLETS: &[Cmdlet] = &[
    Cmdlet::new(
        "Get-NetAdapter",
        "Shows the interfaces of a host.",
        &[
            NAME,
            Parameter::new("InterfaceDescription", Takes::Text).also(&["ifDesc"]).filter(),
            Parameter::new("InterfaceIndex", super::netwnv::UINT32).also(&["ifIndex"]).filter(),
            Parameter::new("Physical", Takes::Switch),
            Parameter::new("IncludeHidden", Takes::Switch),
        ],
        get_net_adapter,
    )
    .remote(),
    Cmdlet::new("Get-NetAdapterBinding", "Shows on which interfaces network virtualization is.", BOUND, get_binding)
        .remote(),
    Cmdlet::new("Enable-NetAdapterBinding", "Lets network virtualization onto an interface.", BOUND, enable)
        .remote()
        .changing(),
    Cmdlet::new(
        "Disable-NetAdapterBinding",
        "Takes network virtualization off an interface: all policy of the host goes, as in Windows.",
        BOUND,
        disable,
    )
    .remote()
    .changing(),
];

const BOUND: &[Parameter] = &[
    NAME,
    Parameter::new("InterfaceDescription", Takes::Text).also(&["ifDesc"]).filter(),
    Parameter::new("ComponentID", Takes::Text).filter(),
    Parameter::new("PassThru", Takes::Switch),
];

fn adapter(interface: &Interface, host: Option<&str>) -> Value {
    let text = |text: &str| Value::text(text);
    let mac = interface.mac.map(|mac| mac.to_string()).unwrap_or_default();
    let addresses = interface.addresses.iter().map(|(address, _)| text(&address.to_string())).collect();
    let mut fields = vec![
        ("Name", text(&interface.name)),
        ("InterfaceDescription", text(&interface.kind)),
        ("InterfaceIndex", Value::Integer(interface.index.into())),
        ("ifIndex", Value::Integer(interface.index.into())),
        ("InterfaceAlias", text(&interface.name)),
        ("ifAlias", text(&interface.name)),
        ("Status", text(if interface.up { "Up" } else { "Disconnected" })),
        ("MacAddress", text(&mac)),
        ("MtuSize", Value::Integer(interface.mtu.into())),
        ("IPAddresses", Value::array(addresses)),
    ];
    fields.extend(host.map(|host| ("PSComputerName", text(host))));
    Object::value(&ADAPTER, fields)
}

/// The interfaces that the filters choose; a name that no interface has is told.
fn chosen(shell: &mut Shell, call: &Call<'_>, host: Option<&str>) -> Result<Vec<Interface>, Stop> {
    let all = shell.hosts.interfaces(host).or_else(|error| call.fail(error))?;
    let texts = |name: &str| -> Vec<String> { call.bound.items(name).iter().map(Value::to_text).collect() };
    let (names, kinds, indices) = (texts("Name"), texts("InterfaceDescription"), texts("InterfaceIndex"));
    let any = |patterns: &[String], text: &str| {
        patterns.is_empty() || patterns.iter().any(|it| wildcard::matches(it, text, false))
    };
    for name in names.iter().filter(|name| !wildcard::is_wild(name)) {
        if !all.iter().any(|it| it.name.eq_ignore_ascii_case(name)) {
            let known: Vec<&str> = all.iter().map(|it| it.name.as_str()).collect();
            shell
                .tell(call, format!("-Name \"{name}\": the host has no such interface; it has {}", known.join(", ")))?;
        }
    }
    let fits = |it: &Interface| any(&names, &it.name) && any(&kinds, &it.kind) && any(&indices, &it.index.to_string());
    Ok(all.into_iter().filter(fits).collect())
}

fn get_net_adapter(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    for host in call.sessions()? {
        for interface in chosen(shell, call, host.as_deref())? {
            // Those of VMs are the host's as well, but no adapters of its own.
            let own = !matches!(interface.kind.as_str(), "veth" | "tap" | "loopback");
            if !call.bound.is_on("Physical") || own {
                emit(shell, adapter(&interface, host.as_deref()))?;
            }
        }
    }
    Ok(())
}

/// Whether the component is the one that is here.
fn is_ours(call: &Call<'_>) -> Result<(), Stop> {
    match call.bound.items("ComponentID").iter().find(|it| !wildcard::matches(&it.to_text(), COMPONENT, false)) {
        Some(other) => {
            call.fail(format!("-ComponentID \"{}\": the component that is here is {COMPONENT}", other.to_text()))
        }
        None => Ok(()),
    }
}

fn must_name(call: &Call<'_>) -> Result<(), Stop> {
    if call.bound.has("Name") || call.bound.has("InterfaceDescription") {
        return Ok(());
    }
    call.fail("it needs -Name (a text); \"*\" is all interfaces")
}

fn binding(interface: &Interface, enabled: bool) -> Value {
    let fields = vec![
        ("Name", Value::text(&interface.name)),
        ("InterfaceDescription", Value::text(&interface.kind)),
        ("DisplayName", Value::text("Windows Network Virtualization Filter driver")),
        ("ComponentID", Value::text(COMPONENT)),
        ("Enabled", Value::Boolean(enabled)),
    ];
    Object::value(&BINDING, fields)
}

/// The names of the interfaces with provider addresses.
fn uplinks(shell: &mut Shell, call: &Call<'_>, host: Option<&str>) -> Result<Vec<String>, Stop> {
    let entries = shell.hosts.list(host, Kind::ProviderAddress).or_else(|error| call.fail(error))?;
    let name = |resource: Resource| match resource {
        Resource::ProviderAddress(provider) => Some(provider.interface.to_string()),
        _ => None,
    };
    Ok(entries.into_iter().filter_map(|entry| name(entry.resource)).collect())
}

fn get_binding(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    is_ours(call)?;
    for host in call.sessions()? {
        let uplinks = uplinks(shell, call, host.as_deref())?;
        for interface in chosen(shell, call, host.as_deref())? {
            let enabled = uplinks.contains(&interface.name);
            emit(shell, binding(&interface, enabled))?;
        }
    }
    Ok(())
}

fn enable(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    is_ours(call)?;
    must_name(call)?;
    for host in call.sessions()? {
        // Network virtualization comes with the first provider address; until then nothing is done to the interface.
        for interface in chosen(shell, call, host.as_deref())? {
            if call.should(shell, call.cmdlet.name, &interface.name)? && call.bound.is_on("PassThru") {
                emit(shell, binding(&interface, true))?;
            }
        }
    }
    Ok(())
}

fn disable(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    is_ours(call)?;
    must_name(call)?;
    for host in call.sessions()? {
        let host = host.as_deref();
        let uplinks = uplinks(shell, call, host)?;
        let mut changed = false;
        for interface in chosen(shell, call, host)? {
            if !call.should(shell, call.cmdlet.name, &interface.name)? {
                continue;
            }
            changed |= uplinks.contains(&interface.name);
            if call.bound.is_on("PassThru") {
                emit(shell, binding(&interface, false))?;
            }
        }
        if changed {
            let mut steps = Vec::new();
            for kind in [Kind::LookupRecord, Kind::CustomerRoute, Kind::ProviderRoute, Kind::ProviderAddress] {
                let entries = shell.hosts.list(host, kind).or_else(|error| call.fail(error))?;
                steps.extend(entries.iter().map(|entry| Step::Delete(entry.resource.key())));
            }
            shell.hosts.change(host, &steps).or_else(|error| call.fail(error))?;
        }
    }
    Ok(())
}
