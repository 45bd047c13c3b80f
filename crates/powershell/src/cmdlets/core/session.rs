//! Cmdlets about the shell itself and its sessions with hosts.

use std::time::Duration;

use crate::cmdlets::bind;
use crate::cmdlets::parameter::{Parameter, Takes};
use crate::cmdlets::{Call, Cmdlet, all};
use crate::run::{Emit, Shell, Stop};
use crate::value::{Class, Object, Value, View, wildcard};

/// The modules whose cmdlets are here.
const MODULES: [&str; 7] = [
    "NetWNV",
    "Hyper-V",
    "NetAdapter",
    "CimCmdlets",
    "Microsoft.PowerShell.Utility",
    "Microsoft.PowerShell.Core",
    "Microsoft.PowerShell.Management",
];

/// All of them.
pub const CMDLETS: &[Cmdlet] = &[
    Cmdlet::new(
        "Import-Module",
        "Takes a module whose cmdlets are here anyway; refuses others.",
        &[
            Parameter::new("Name", Takes::Text).many().at(0).must().by_value(),
            Parameter::new("Force", Takes::Switch),
            Parameter::new("DisableNameChecking", Takes::Switch),
        ],
        import_module,
    )
    .also(&["ipmo"]),
    Cmdlet::new(
        "Get-Command",
        "Lists cmdlets.",
        &[Parameter::new("Name", Takes::Text).many().at(0).by_value(), Parameter::new("Module", Takes::Text).many()],
        get_command,
    )
    .also(&["gcm"]),
    Cmdlet::new(
        "Get-Help",
        "Says what a cmdlet does and takes.",
        &[Parameter::new("Name", Takes::Text).at(0)],
        get_help,
    )
    .also(&["help", "man"]),
    Cmdlet::new(
        "Start-Sleep",
        "Waits.",
        &[
            Parameter::new("Seconds", Takes::Integer(0, 3600)).at(0).by_value(),
            Parameter::new("Milliseconds", Takes::Integer(0, 3_600_000)),
        ],
        start_sleep,
    )
    .also(&["sleep"]),
    Cmdlet::new(
        "New-CimSession",
        "Names a host for -CimSession.",
        &[Parameter::new("ComputerName", Takes::Text).many().at(0).by_value(), Parameter::new("Name", Takes::Text)],
        new_cim_session,
    ),
    Cmdlet::new(
        "Remove-CimSession",
        "Takes sessions, which hold nothing.",
        &[
            Parameter::new("CimSession", Takes::Anything).many().at(0).by_value(),
            Parameter::new("ComputerName", Takes::Text).many(),
        ],
        |_, _, _| Ok(()),
    ),
    Cmdlet::new(
        "Set-StrictMode",
        "Takes -Off; undefined variables are $null.",
        &[Parameter::new("Off", Takes::Switch).must()],
        |_, _, _| Ok(()),
    ),
    Cmdlet::new("Clear-Host", "Does nothing: what was printed stays.", &[], |_, _, _| Ok(())).also(&["cls", "clear"]),
];

fn import_module(_: &mut Shell, call: &Call<'_>, _: &mut Emit<'_>) -> Result<(), Stop> {
    for name in call.bound.items("Name") {
        let name = name.to_text();
        if !MODULES.iter().any(|module| module.eq_ignore_ascii_case(&name)) {
            return call.fail(format!(
                "-Name \"{name}\": there is no such module here; the modules are {}",
                MODULES.join(", ")
            ));
        }
    }
    Ok(())
}

const COMMAND: Class = Class {
    name: "System.Management.Automation.CmdletInfo",
    view: View::Table(&[("CommandType", "CommandType"), ("Name", "Name"), ("Synopsis", "Synopsis")]),
};

fn get_command(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    if let Some(module) = call.bound.items("Module").iter().find(|it| !it.to_text().eq_ignore_ascii_case("NetWNV")) {
        return call
            .fail(format!("-Module \"{}\": only NetWNV can be asked for; leave it out for all", module.to_text()));
    }
    let patterns: Vec<String> = call.bound.items("Name").iter().map(Value::to_text).collect();
    let netwnv = call.bound.has("Module");
    let fits =
        |name: &str| patterns.is_empty() || patterns.iter().any(|pattern| wildcard::matches(pattern, name, false));
    let mut found: Vec<&Cmdlet> =
        all().filter(|it| fits(it.name) && (!netwnv || it.name.contains("NetVirtualization"))).collect();
    found.sort_by_key(|cmdlet| cmdlet.name);
    for cmdlet in found {
        let fields = vec![
            ("CommandType", Value::text("Cmdlet")),
            ("Name", Value::text(cmdlet.name)),
            ("Synopsis", Value::text(cmdlet.synopsis)),
        ];
        emit(shell, Object::value(&COMMAND, fields))?;
    }
    Ok(())
}

/// What there is to know where no cmdlet is named.
const OVERVIEW: &str =
    "Get-Command               the cmdlets that there are; Get-Command *Lookup* those with such a name
Get-Help CMDLET           what one does, and what its parameters take
CMDLET -CimSession HOST   does it at another host
CMDLET ... -WhatIf        says what it would do
exit                      ends the prompt";

fn get_help(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let Some(name) = call.bound.text("Name") else { return emit(shell, Value::text(OVERVIEW)) };
    let Some(cmdlet) = crate::cmdlets::find(&name) else {
        return call.fail(format!("there is no cmdlet {name}; \"Get-Command\" lists those that there are"));
    };
    let mut text = format!("{}\n    {}\n\n", cmdlet.name, cmdlet.synopsis);
    for parameter in bind::parameters(cmdlet) {
        let must = if parameter.mandatory { ", must be given" } else { "" };
        let many = if parameter.many { ", several with commas between" } else { "" };
        text.push_str(&format!("    -{}: {}{many}{must}\n", parameter.name, parameter.accepted()));
    }
    emit(shell, Value::text(text.trim_end()))
}

fn start_sleep(shell: &mut Shell, call: &Call<'_>, _: &mut Emit<'_>) -> Result<(), Stop> {
    let number = |name: &str| call.bound.integer(name).and_then(|number| u64::try_from(number).ok()).unwrap_or(0);
    let mut left = Duration::from_millis(number("Seconds").saturating_mul(1000).saturating_add(number("Milliseconds")));
    // In pieces, so that it can be stopped.
    while !left.is_zero() {
        let piece = left.min(Duration::from_millis(50));
        std::thread::sleep(piece);
        left -= piece;
        shell.step(call.at, 0)?;
    }
    Ok(())
}

const SESSION: Class = Class {
    name: "Microsoft.Management.Infrastructure.CimSession",
    view: View::List(&["Id", "Name", "ComputerName", "Protocol"]),
};

fn new_cim_session(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let mut names: Vec<String> = call.bound.items("ComputerName").iter().map(Value::to_text).collect();
    if names.is_empty() {
        names.push("localhost".to_owned());
    }
    for (number, name) in (1..).zip(names) {
        let host = crate::cmdlets::host(&name);
        if let Err(error) = shell.hosts.name(host.as_deref()) {
            shell.tell(call, format!("-ComputerName \"{name}\": {error}"))?;
            continue;
        }
        let fields = vec![
            ("Id", Value::Integer(number)),
            ("Name", Value::text(call.bound.text("Name").unwrap_or_else(|| format!("CimSession{number}")))),
            ("ComputerName", Value::text(&name)),
            ("Protocol", Value::text("netvirt")),
        ];
        emit(shell, Object::value(&SESSION, fields))?;
    }
    Ok(())
}
