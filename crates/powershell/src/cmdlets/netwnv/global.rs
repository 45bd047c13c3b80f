//! NetVirtualizationGlobal: what holds of a host as a whole.

use crate::cmdlets::parameter::{Parameter, Takes};
use crate::cmdlets::{Call, Cmdlet};
use crate::run::{Emit, Shell, Stop};
use crate::value::{Class, Object, Value, View};

const CLASS: Class = Class {
    name: "Microsoft.Management.Infrastructure.CimInstance#ROOT/StandardCimv2/MSFT_NetVirtualizationGlobalSettingData",
    view: View::List(&["UseExternalRouter"]),
};

pub(super) const CMDLETS: &[Cmdlet] = &[
    Cmdlet::new(
        "Get-NetVirtualizationGlobal",
        "Shows whether the routers of VM subnets are outside of the hosts.",
        &[Parameter::new("UseExternalRouter", Takes::Boolean).filter()],
        get,
    )
    .remote(),
    Cmdlet::new(
        "Set-NetVirtualizationGlobal",
        "Says whether the routers of VM subnets are outside of the hosts.",
        &[
            Parameter::new("InputObject", Takes::Anything).many().by_value(),
            Parameter::new("UseExternalRouter", Takes::Boolean),
            Parameter::new("PassThru", Takes::Switch),
        ],
        set,
    )
    .remote()
    .changing(),
];

fn global(host: Option<&str>) -> Value {
    let mut fields = vec![("UseExternalRouter", Value::Boolean(false))];
    fields.extend(host.map(|host| ("PSComputerName", Value::text(host))));
    Object::value(&CLASS, fields)
}

fn get(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let wanted = call.bound.items("UseExternalRouter");
    for host in call.sessions()? {
        shell.hosts.name(host.as_deref()).or_else(|error| call.fail(error))?;
        if wanted.is_empty() || wanted.iter().any(|wanted| !wanted.is_true()) {
            emit(shell, global(host.as_deref()))?;
        }
    }
    Ok(())
}

fn set(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let Some(external) = call.bound.get("UseExternalRouter") else {
        return call.fail("there is nothing to set; give -UseExternalRouter");
    };
    if external.is_true() {
        return call.fail(
            "-UseExternalRouter \"True\": hosts of netvirt route between the subnets of a routing domain themselves; it takes $false. \
             For a router of your own give the VMs its address as their gateway",
        );
    }
    for host in call.sessions()? {
        let name = shell.hosts.name(host.as_deref()).or_else(|error| call.fail(error))?;
        if call.should(shell, call.cmdlet.name, &name)? && call.bound.is_on("PassThru") {
            emit(shell, global(host.as_deref()))?;
        }
    }
    Ok(())
}
