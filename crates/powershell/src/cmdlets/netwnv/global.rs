//! NetVirtualizationGlobal: what holds of a host as a whole.

use model::{Global, Kind, Resource};

use crate::cmdlets::parameter::{Parameter, Takes};
use crate::cmdlets::{Call, Cmdlet};
use crate::hosts::Step;
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
        "Says whether the routers of VM subnets are outside of the hosts: then these route nothing.",
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

fn global(global: Global, host: Option<&str>) -> Value {
    let mut fields = vec![("UseExternalRouter", Value::Boolean(global.external_router))];
    fields.extend(host.map(|host| ("PSComputerName", Value::text(host))));
    Object::value(&CLASS, fields)
}

/// What is declared of a host as a whole, if it is.
fn declared(shell: &mut Shell, host: Option<&str>) -> Result<Option<Global>, String> {
    let known = shell.hosts.list(host, Kind::Global)?;
    Ok(known.iter().find_map(|entry| match &entry.resource {
        Resource::Global(global) => Some(*global),
        _ => None,
    }))
}

fn get(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let wanted = call.bound.items("UseExternalRouter");
    for host in call.sessions()? {
        let known = declared(shell, host.as_deref()).or_else(|error| call.fail(error))?.unwrap_or_default();
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted.is_true() == known.external_router) {
            emit(shell, global(known, host.as_deref()))?;
        }
    }
    Ok(())
}

fn set(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let Some(external) = call.bound.get("UseExternalRouter") else {
        return call.fail("there is nothing to set; give -UseExternalRouter");
    };
    let wanted = Global { external_router: external.is_true() };
    for host in call.sessions()? {
        let name = shell.hosts.name(host.as_deref()).or_else(|error| call.fail(error))?;
        if call.should(shell, call.cmdlet.name, &name)? {
            let known = declared(shell, host.as_deref()).or_else(|error| call.fail(error))?;
            let step = if known.is_some() { Step::Put } else { Step::Create }(Resource::Global(wanted));
            shell.hosts.change(host.as_deref(), &[step]).or_else(|error| call.fail(error))?;
            if call.bound.is_on("PassThru") {
                emit(shell, global(wanted, host.as_deref()))?;
            }
        }
    }
    Ok(())
}
