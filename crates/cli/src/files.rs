//! YAML files that declare resources: reading them, and whom they are meant for.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use model::fabric::{self, ResourceName};
use serde::Deserialize;

use crate::CliError;
use crate::args::Knows;

/// The text of one file, with its name in errors.
#[derive(Debug)]
pub struct Text {
    name: String,
    text: String,
}

impl Text {
    /// Its name in errors, and itself.
    pub fn parts(&self) -> (&str, &str) {
        (&self.name, &self.text)
    }
}

/// What every document has.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Head {
    kind: String,
    tenant: Option<String>,
}

/// Reads files; "-" is the standard input.
///
/// # Errors
/// [`CliError::Read`].
pub fn read(files: &[PathBuf], input: &mut dyn Read) -> Result<Vec<Text>, CliError> {
    let read = |file: &PathBuf| {
        let (name, text) = if file == Path::new("-") {
            let mut text = String::new();
            let read = input.read_to_string(&mut text);
            ("standard input".to_owned(), read.map(|_| text))
        } else {
            (file.display().to_string(), fs::read_to_string(file))
        };
        let text = text.map_err(|source| CliError::Read { file: PathBuf::from(&name), source })?;
        Ok(Text { name, text })
    };
    files.iter().map(read).collect()
}

/// Who knows the kinds that these files declare.
///
/// # Errors
/// When no one of the two knows them all.
pub fn knows(texts: &[Text]) -> Result<Knows, CliError> {
    let (mut host, mut controller) = (None::<String>, None::<String>);
    for kind in texts.iter().flat_map(kinds) {
        match (kind.parse::<model::Kind>().is_ok(), kind.parse::<fabric::Kind>().is_ok()) {
            (true, false) => host = host.or(Some(kind)),
            (false, true) => controller = controller.or(Some(kind)),
            // Both know it; or nobody does, and then the reader says so with line and column.
            _ => {}
        }
    }
    match (host, controller) {
        (Some(host), Some(controller)) => Err(CliError::MixedFiles { host, controller }),
        (Some(_), None) => Ok(Knows::Host),
        (None, Some(_)) => Ok(Knows::Controller),
        (None, None) => Ok(Knows::Both),
    }
}

/// The kinds of a text. A line that begins with `kind:` is that field of a document, and nothing else can be; only
/// where a document is written in braces must all of it be read.
fn kinds(text: &Text) -> Vec<String> {
    if text.text.lines().any(|line| line.starts_with('{')) {
        return heads(text).into_iter().map(|head| head.kind).collect();
    }
    let kind = |line: &str| {
        let word = line.strip_prefix("kind:")?.split('#').next()?;
        Some(word.trim().trim_matches(['"', '\'']).to_owned())
    };
    text.text.lines().filter_map(kind).collect()
}

/// The heads of all documents; none if the text is no YAML, which its reader says better.
fn heads(text: &Text) -> Vec<Head> {
    // As much as the reader of resources takes.
    let bulk = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 1 << 20,
            max_nodes: 1 << 25,
            max_events: 1 << 27,
            max_total_scalar_bytes: 1 << 30,
        },
    };
    serde_saphyr::from_multiple_with_options(&text.text, bulk).unwrap_or_default()
}

/// The resources of a host that files declare.
///
/// # Errors
/// When a text is not as it must be, or declares nothing.
pub fn at_host(texts: &[Text]) -> Result<Vec<model::Resource>, CliError> {
    all(texts, model::resources_from_yaml)
}

/// The resources of a controller that files declare; those that name no tenant are `tenant`'s.
///
/// # Errors
/// When a text is not as it must be, or declares nothing.
pub fn at_controller(texts: &[Text], tenant: Option<&ResourceName>) -> Result<Vec<fabric::Resource>, CliError> {
    let mut resources = Vec::new();
    for text in texts {
        let mut found = all(std::slice::from_ref(text), fabric::resources_from_yaml)?;
        if let Some(tenant) = tenant.filter(|tenant| **tenant != ResourceName::default_tenant()) {
            let heads = heads(text);
            for (resource, head) in found.iter_mut().zip(heads).filter(|(_, head)| head.tenant.is_none()) {
                let named = fabric::Key::new(resource.kind(), Some(tenant.clone()), resource.name.clone());
                debug_assert_eq!(head.kind.parse(), Ok(named.kind));
                resource.tenant = named.tenant;
            }
        }
        resources.append(&mut found);
    }
    Ok(resources)
}

fn all<T>(texts: &[Text], reader: impl Fn(&str) -> Result<Vec<T>, model::YamlError>) -> Result<Vec<T>, CliError> {
    let mut resources = Vec::new();
    for Text { name, text } in texts {
        let mut found = reader(text).map_err(|source| CliError::Yaml { file: name.clone(), source })?;
        if found.is_empty() {
            return Err(CliError::Empty(name.clone()));
        }
        resources.append(&mut found);
    }
    Ok(resources)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Vec<Text> {
        vec![Text { name: "x.yaml".into(), text: text.into() }]
    }

    #[test]
    fn kinds_tell_whom_a_file_is_meant_for() {
        let knows = |yaml: &str| knows(&text(yaml));
        assert_eq!(knows("kind: port\n---\nkind: lookup-record # x\n").unwrap(), Knows::Host);
        assert_eq!(knows("kind: port\n---\nkind: \"vm-network\"\n").unwrap(), Knows::Controller);
        assert_eq!(knows("{kind: ip-pool, name: a}\n").unwrap(), Knows::Controller);
        assert_eq!(knows("kind: port\n").unwrap(), Knows::Both);
        assert_eq!(knows("kind: vlan\n").unwrap(), Knows::Both);
        let error = knows("kind: lookup-record\n---\nkind: host\n").unwrap_err();
        assert!(error.to_string().contains("lookup-record") && error.to_string().contains("host"), "{error}");
    }

    #[test]
    fn a_tenant_is_put_where_none_is_named() {
        let yaml = "kind: logical-network\nname: L\n---\nkind: port\nname: a\n---\nkind: port\ntenant: red\nname: b\n\
                    ---\nkind: port\ntenant: default\nname: c\n";
        let blue: ResourceName = "blue".parse().unwrap();
        let resources = at_controller(&text(yaml), Some(&blue)).unwrap();
        let tenants: Vec<Option<&str>> =
            resources.iter().map(|resource| resource.tenant.as_ref().map(ResourceName::as_str)).collect();
        assert_eq!(tenants, [None, Some("blue"), Some("red"), Some("default")]);
    }
}
