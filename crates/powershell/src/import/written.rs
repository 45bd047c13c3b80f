//! What cmdlets have written, as the script that would make it again.

use std::path::Path;

/// An object: its properties by their names.
type Properties = Vec<(String, String)>;

/// The script of an output; none if the text is none but a script itself.
pub fn script(name: &str, text: &str) -> Option<Result<String, String>> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let objects = if text.starts_with("<Objs") || text.starts_with("<?xml") {
        clixml(text)
    } else if is_csv(text) {
        comma_separated(text)
    } else if is_list(text) {
        Ok(list(text))
    } else if is_table(text) {
        Err("this is a table, in which values are cut; import what Export-Clixml or Export-Csv write, or Format-List shows".to_owned())
    } else {
        return None;
    };
    let host = Path::new(name).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Some(objects.and_then(|mut objects| {
        // Next hops are in prefixes that must be there before.
        objects.sort_by_key(|object| !matches!(get(object, "NextHop"), Some("0.0.0.0" | "::")));
        let lines: Result<Vec<String>, String> = objects.iter().map(|object| command(object, &host)).collect();
        Ok(lines?.join("\n"))
    }))
}

fn get<'p>(object: &'p Properties, name: &str) -> Option<&'p str> {
    let found = object.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
    found.filter(|value| !value.is_empty())
}

/// The command that makes an object again, at the host that it is of.
fn command(object: &Properties, file: &str) -> Result<String, String> {
    let (noun, parameters): (&str, &[&str]) = if get(object, "CustomerAddress").is_some() {
        (
            "LookupRecord",
            &[
                "CustomerAddress",
                "VirtualSubnetID",
                "MACAddress",
                "ProviderAddress",
                "Rule",
                "CustomerID",
                "Context",
                "VMName",
                "Type",
            ],
        )
    } else if get(object, "RoutingDomainID").is_some() {
        ("CustomerRoute", &["RoutingDomainID", "VirtualSubnetID", "DestinationPrefix", "NextHop", "Metric"])
    } else if get(object, "ProviderAddress").is_some() {
        ("ProviderAddress", &["ProviderAddress", "PrefixLength"])
    } else if get(object, "DestinationPrefix").is_some() {
        ("ProviderRoute", &["DestinationPrefix", "NextHop", "Metric"])
    } else {
        let names: Vec<&str> = object.iter().map(|(name, _)| name.as_str()).take(8).collect();
        return Err(format!(
            "an object with the properties {} is none of Get-NetVirtualizationLookupRecord, CustomerRoute, ProviderAddress or ProviderRoute",
            names.join(", ")
        ));
    };
    let quoted = |value: &str| format!("'{}'", value.replace('\'', "''"));
    let mut line = format!("New-NetVirtualization{noun}");
    for name in parameters {
        if let Some(value) = get(object, name) {
            line.push_str(&format!(" -{name} {}", quoted(value)));
        }
    }
    // Which adapter it is on is that host's, and not what a controller is told.
    if noun.starts_with("Provider") {
        line.push_str(" -InterfaceIndex 1");
    }
    let host = get(object, "PSComputerName").unwrap_or(file);
    Ok(format!("{line} -CimSession {} | Out-Null", quoted(host)))
}

/// Objects of Export-Clixml.
fn clixml(text: &str) -> Result<Vec<Properties>, String> {
    let document = roxmltree::Document::parse(text).map_err(|error| format!("this is no XML: {error}"))?;
    let is_container = |node: &roxmltree::Node| matches!(node.tag_name().name(), "Props" | "MS");
    let objects = document.root_element().children().filter(|node| node.has_tag_name_local("Obj"));
    let value = |node: roxmltree::Node| -> String {
        let shown = node.children().find(|child| child.tag_name().name() == "ToString");
        shown.unwrap_or(node).text().unwrap_or_default().to_owned()
    };
    Ok(objects
        .map(|object| {
            let containers = object.children().filter(is_container);
            let fields = containers.flat_map(|container| container.children().filter(roxmltree::Node::is_element));
            let mut properties: Properties = Vec::new();
            for field in fields {
                if let Some(name) = field.attribute("N") {
                    // Of the numbers and the names of an enumeration the names, which come last, are clearer.
                    properties.retain(|(known, _)| known != name);
                    properties.push((name.to_owned(), value(field)));
                }
            }
            properties
        })
        .collect())
}

/// Names without regard to namespaces.
trait LocalName {
    fn has_tag_name_local(&self, name: &str) -> bool;
}

impl LocalName for roxmltree::Node<'_, '_> {
    fn has_tag_name_local(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

/// Whether a text begins as Export-Csv does: with its type, or with the names of properties in quotes.
fn is_csv(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    first.starts_with("#TYPE")
        || (first.starts_with('"') && first.contains("\",\""))
        || (first.contains(',')
            && first.split(',').any(|name| matches!(name, "CustomerAddress" | "DestinationPrefix" | "ProviderAddress")))
}

fn comma_separated(text: &str) -> Result<Vec<Properties>, String> {
    let text = if text.starts_with("#TYPE") { text.split_once('\n').map_or("", |(_, rest)| rest) } else { text };
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(text.as_bytes());
    let wrong = |error: csv::Error| format!("this is no CSV: {error}");
    let names: Vec<String> = reader.headers().map_err(wrong)?.iter().map(str::to_owned).collect();
    reader
        .records()
        .map(|record| Ok(names.iter().cloned().zip(record.map_err(wrong)?.iter().map(str::to_owned)).collect()))
        .collect()
}

/// Whether a text begins as a list does: `CustomerAddress : 10.0.0.5`.
fn is_list(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    first.split_once(':').is_some_and(|(name, _)| {
        let name = name.trim();
        !name.is_empty() && name.chars().all(char::is_alphanumeric) && first[name.len()..].starts_with([' ', ':'])
    })
}

/// Whether a text begins as a table does: names, and a line of dashes under them.
fn is_table(text: &str) -> bool {
    let under = text.lines().nth(1).unwrap_or_default();
    under.starts_with('-') && under.chars().all(|letter| matches!(letter, '-' | ' '))
}

/// Objects as they are shown: a property a line, an empty line between objects; what is too long goes on in the next line.
fn list(text: &str) -> Vec<Properties> {
    let (mut objects, mut object): (Vec<Properties>, Properties) = (Vec::new(), Vec::new());
    for line in text.lines().chain([""]) {
        if line.trim().is_empty() {
            if !object.is_empty() {
                objects.push(std::mem::take(&mut object));
            }
        } else if line.starts_with(' ') {
            if let Some((_, value)) = object.last_mut() {
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            object.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    objects
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: &str = "New-NetVirtualizationLookupRecord -CustomerAddress '10.0.0.5' -VirtualSubnetID '5001' -MACAddress \
                            '101010101105' -ProviderAddress '192.168.4.11' -Rule 'TranslationMethodEncap' -VMName 'Blue''s 1' -CimSession 'H1' | Out-Null";

    #[test]
    fn the_three_notations_say_the_same() {
        let table = "CustomerAddress VirtualSubnetID\n--------------- ---------------\n10.0.0.5        5001\n";
        assert!(script("H1.txt", table).unwrap().unwrap_err().contains("Export-Clixml"));
        let list = "\nCustomerAddress : 10.0.0.5\nVirtualSubnetID : 5001\nMACAddress      : 101010101105\nProviderAddress : 192.168.\n                  4.11\nCustomerID      : \nRule            : TranslationMethodEncap\nVMName          : Blue's 1\nUnusable        : False\n\n";
        let csv = "#TYPE Microsoft.Management.Infrastructure.CimInstance\n\"CustomerAddress\",\"VirtualSubnetID\",\"MACAddress\",\"ProviderAddress\",\"Rule\",\"VMName\",\"PSComputerName\"\n\"10.0.0.5\",\"5001\",\"101010101105\",\"192.168.4.11\",\"TranslationMethodEncap\",\"Blue's 1\",\"H1\"\n";
        let xml = r#"<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04"><Obj RefId="0"><TN RefId="0"><T>CimInstance</T></TN><Props><S N="CustomerAddress">10.0.0.5</S><U32 N="VirtualSubnetID">5001</U32><S N="MACAddress">101010101105</S><S N="ProviderAddress">192.168.4.11</S><By N="Rule">1</By><S N="VMName">Blue's 1</S><Nil N="CustomerID"/></Props><MS><Obj N="Rule" RefId="1"><ToString>TranslationMethodEncap</ToString><By>1</By></Obj><S N="PSComputerName">H1</S></MS></Obj></Objs>"#;
        for text in [list, csv, xml] {
            let script = script("out/H1.txt", text).expect("an output").unwrap();
            // Their order is the parameters', whatever the object's.
            assert_eq!(script, EXPECTED, "{text}");
        }
        assert!(script("x.ps1", "Get-NetVirtualizationLookupRecord").is_none());
        assert!(script("x.ps1", "$a = 5").is_none());
        assert!(script("x.xml", "<Objs><Obj>").unwrap().is_err());
        let error = script("x.txt", "Name : eth0\n").unwrap().unwrap_err();
        assert!(error.contains("properties Name"), "{error}");
    }
}
