//! Cmdlets that print, or throw away.

use crate::cmdlets::parameter::{Parameter, Takes};
use crate::cmdlets::{Call, Cmdlet};
use crate::run::{Emit, Failure, Shell, Stop};
use crate::value::Value;

/// The colours of `Write-Host`, which are taken and not shown: what is printed is for files and terminals alike.
const COLOURS: Takes = Takes::Word(&[
    "Black",
    "DarkBlue",
    "DarkGreen",
    "DarkCyan",
    "DarkRed",
    "DarkMagenta",
    "DarkYellow",
    "Gray",
    "DarkGray",
    "Blue",
    "Green",
    "Cyan",
    "Red",
    "Magenta",
    "Yellow",
    "White",
]);

/// All of them.
pub const CMDLETS: &[Cmdlet] = &[
    Cmdlet::new(
        "Write-Host",
        "Prints.",
        &[
            Parameter::new("Object", Takes::Anything).at(0).rest().by_value(),
            Parameter::new("NoNewline", Takes::Switch),
            Parameter::new("Separator", Takes::Text),
            Parameter::new("ForegroundColor", COLOURS),
            Parameter::new("BackgroundColor", COLOURS),
        ],
        write_host,
    ),
    Cmdlet::new(
        "Write-Output",
        "Outputs objects.",
        &[
            Parameter::new("InputObject", Takes::Anything).at(0).rest().by_value(),
            Parameter::new("NoEnumerate", Takes::Switch),
        ],
        write_output,
    )
    .also(&["echo", "write"]),
    Cmdlet::new("Write-Warning", "Prints a warning.", &[MESSAGE], write_warning),
    Cmdlet::new("Write-Verbose", "Prints with -Verbose.", &[MESSAGE], write_verbose),
    Cmdlet::new("Write-Error", "Prints an error.", &[MESSAGE, Parameter::new("Category", Takes::Text)], write_error),
    Cmdlet::new(
        "Out-Null",
        "Throws objects away.",
        &[Parameter::new("InputObject", Takes::Anything).by_value()],
        |_, _, _| Ok(()),
    ),
    Cmdlet::new("Out-Host", "Prints objects.", &[Parameter::new("InputObject", Takes::Anything).by_value()], out_host)
        .also(&["oh"]),
];

const MESSAGE: Parameter = Parameter::new("Message", Takes::Text).at(0).must().by_value();

fn write_host(shell: &mut Shell, call: &Call<'_>, _: &mut Emit<'_>) -> Result<(), Stop> {
    let between = call.bound.text("Separator").unwrap_or_else(|| " ".to_owned());
    let texts: Vec<String> = call.bound.items("Object").iter().map(|object| joined(object, &between)).collect();
    let end = if call.bound.is_on("NoNewline") { "" } else { "\n" };
    shell.flush();
    shell.console.print(&format!("{}{end}", texts.join(&between)));
    Ok(())
}

fn joined(value: &Value, between: &str) -> String {
    match value {
        Value::Array(items) => {
            items.borrow().iter().map(|item| joined(item, between)).collect::<Vec<_>>().join(between)
        }
        other => other.to_text(),
    }
}

fn write_output(shell: &mut Shell, call: &Call<'_>, emit: &mut Emit<'_>) -> Result<(), Stop> {
    let objects = call.bound.items("InputObject");
    if call.bound.is_on("NoEnumerate") {
        return emit(shell, Value::array(objects));
    }
    objects.iter().flat_map(Value::items).try_for_each(|object| emit(shell, object))
}

fn write_warning(shell: &mut Shell, call: &Call<'_>, _: &mut Emit<'_>) -> Result<(), Stop> {
    shell.flush();
    shell.console.complain(&format!("WARNING: {}", call.bound.text("Message").unwrap_or_default()));
    Ok(())
}

fn write_verbose(shell: &mut Shell, call: &Call<'_>, _: &mut Emit<'_>) -> Result<(), Stop> {
    let asked =
        call.bound.is_on("Verbose") || shell.variable("verbosepreference").to_text().eq_ignore_ascii_case("continue");
    if asked {
        shell.flush();
        shell.console.print(&format!("VERBOSE: {}\n", call.bound.text("Message").unwrap_or_default()));
    }
    Ok(())
}

fn write_error(_: &mut Shell, call: &Call<'_>, _: &mut Emit<'_>) -> Result<(), Stop> {
    // What a script complains of is told, and stops it, as any complaint.
    let message = call.bound.text("Message").unwrap_or_default();
    Err(Stop::Failed(Failure::new(call.at, message)))
}

fn out_host(shell: &mut Shell, call: &Call<'_>, _: &mut Emit<'_>) -> Result<(), Stop> {
    call.input.iter().flatten().try_for_each(|value| shell.print(value.clone()))
}
