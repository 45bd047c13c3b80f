//! The XML of a libvirt domain: which of its interfaces are ports, and what their devices must be.

use model::{MacAddress, Name};
use roxmltree::{Document, Node};

/// The namespace of what a domain's metadata say of ports.
pub const NAMESPACE: &str = "https://netvirt/1";
/// Begins the alias of an interface that is a port; its UUID follows. libvirt lets users choose aliases that begin with "ua-".
pub const ALIAS: &str = "ua-netvirt-";

/// An interface that is a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// The UUID of the port, as it is written.
    pub port: String,
    /// The name that its device must have, if the domain says.
    pub device: Option<Name>,
    /// The MAC address that the VM will use.
    pub mac: Option<MacAddress>,
    /// How many queues it has.
    pub queues: u32,
}

/// Why a domain cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum DomainError {
    /// No XML.
    #[error("the domain is not XML: {0}")]
    Xml(#[from] roxmltree::Error),
    /// Another element.
    #[error("the XML is no libvirt domain, but <{0}>")]
    Other(String),
    /// A name that no device can have, or no MAC address.
    #[error("{0}")]
    Value(String),
    /// What the metadata name is not there.
    #[error(
        "the domain's metadata give port {uuid} to interface {interface}, but no interface has this target device or MAC address; \
         its interfaces are {there}"
    )]
    NoInterface {
        /// What they name.
        interface: String,
        /// The port.
        uuid: String,
        /// What there is.
        there: String,
    },
    /// An attribute is missing.
    #[error("<port> in the domain's metadata lacks {0}; write <netvirt:port interface='tap0' uuid='UUID'/>")]
    Incomplete(&'static str),
    /// libvirt would connect it to something else.
    #[error(
        "interface {interface} is of type '{found}', and port {uuid} needs type='ethernet'; write <interface type='ethernet'> with \
         <target dev='DEVICE' managed='no'/>"
    )]
    Type {
        /// Its device or MAC address.
        interface: String,
        /// What it is.
        found: String,
        /// The port.
        uuid: String,
    },
}

/// The interfaces of a domain that are ports, in their order.
///
/// # Errors
/// When it is no domain, or names ports in a way that cannot be.
pub fn interfaces(xml: &str) -> Result<Vec<Interface>, DomainError> {
    let document = Document::parse(xml)?;
    let domain = document.root_element();
    if !domain.has_tag_name("domain") {
        return Err(DomainError::Other(domain.tag_name().name().to_owned()));
    }
    let nodes: Vec<Node<'_, '_>> = children(domain, "devices").flat_map(|all| children(all, "interface")).collect();
    let mut ports: Vec<Option<String>> = nodes.iter().map(|node| by_alias(*node)).collect();
    for (wanted, uuid) in metadata(domain)? {
        let place = nodes.iter().position(|node| is_named(*node, &wanted)).ok_or_else(|| {
            let there: Vec<String> = nodes.iter().map(|node| called(*node)).collect();
            let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
            DomainError::NoInterface { interface: wanted.clone(), uuid: uuid.clone(), there }
        })?;
        ports[place].get_or_insert(uuid);
    }
    nodes.into_iter().zip(ports).filter_map(|(node, port)| Some(interface(node, port?))).collect()
}

fn interface(node: Node<'_, '_>, port: String) -> Result<Interface, DomainError> {
    let found = node.attribute("type").unwrap_or("nothing");
    if found != "ethernet" {
        return Err(DomainError::Type { interface: called(node), found: found.to_owned(), uuid: port });
    }
    let device = attribute(node, "target", "dev").map(|text| {
        text.parse::<Name>().map_err(|error| DomainError::Value(format!("target device of port {port}: {error}")))
    });
    let mac = attribute(node, "mac", "address").map(|text| {
        text.replace(':', "-")
            .parse::<MacAddress>()
            .map_err(|error| DomainError::Value(format!("MAC address of port {port}: {error}")))
    });
    let queues = attribute(node, "driver", "queues").and_then(|text| text.parse().ok()).unwrap_or(1);
    Ok(Interface { device: device.transpose()?, mac: mac.transpose()?, queues, port })
}

fn children<'a, 'input>(
    node: Node<'a, 'input>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'input>> + use<'a, 'input> {
    node.children().filter(move |child| child.is_element() && child.has_tag_name(name))
}

fn attribute<'a>(node: Node<'a, '_>, child: &'static str, name: &str) -> Option<&'a str> {
    children(node, child).find_map(|child| child.attribute(name))
}

fn by_alias(node: Node<'_, '_>) -> Option<String> {
    attribute(node, "alias", "name")?.strip_prefix(ALIAS).map(str::to_owned)
}

/// What the metadata say: an interface, and the UUID of its port.
fn metadata(domain: Node<'_, '_>) -> Result<Vec<(String, String)>, DomainError> {
    let all = children(domain, "metadata").flat_map(|metadata| metadata.descendants());
    let ports = all.filter(|node| node.has_tag_name((NAMESPACE, "port")));
    let word = |node: Node<'_, '_>, name: &'static str| {
        node.attribute(name).map(str::to_owned).ok_or(DomainError::Incomplete(name))
    };
    ports.map(|port| Ok((word(port, "interface")?, word(port, "uuid")?))).collect()
}

/// Whether an interface is the one with this device or MAC address.
fn is_named(node: Node<'_, '_>, name: &str) -> bool {
    let same = |mac: &str| mac.replace(':', "-").eq_ignore_ascii_case(&name.replace(':', "-"));
    attribute(node, "target", "dev") == Some(name) || attribute(node, "mac", "address").is_some_and(same)
}

fn called(node: Node<'_, '_>) -> String {
    let name = attribute(node, "target", "dev").or_else(|| attribute(node, "mac", "address"));
    name.unwrap_or("(without device and MAC address)").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: [&str; 2] = ["6f1b7f1e-0000-4000-8000-000000000001", "6f1b7f1e-0000-4000-8000-000000000002"];

    fn domain(metadata: &str, interfaces: &str) -> String {
        format!(
            "<domain type='kvm'><name>web</name><metadata>{metadata}<x:y xmlns:x='urn:x'/></metadata><devices><disk/>\
             {interfaces}</devices></domain>"
        )
    }

    fn refused(xml: &str) -> String {
        interfaces(xml).unwrap_err().to_string()
    }

    #[test]
    fn ports_are_named_by_alias_and_by_metadata() {
        let own = format!(
            "<interface type='ethernet'><mac address='00:1d:d8:b7:1c:01'/><target dev='tap0' managed='no'/>\
             <driver queues='2'/><alias name='ua-netvirt-{}'/></interface>",
            UUID[0]
        );
        let others = "<interface type='network'><source network='default'/></interface><interface type='ethernet'>\
                      <mac address='00:1d:d8:b7:1c:02'/></interface>";
        let metadata = format!(
            "<netvirt:ports xmlns:netvirt='{NAMESPACE}'><netvirt:port interface='00-1D-D8-B7-1C-02' uuid='{}'/></netvirt:ports>",
            UUID[1]
        );
        let found = interfaces(&domain(&metadata, &format!("{own}{others}"))).unwrap();
        let mac = |last: u8| format!("00-1D-D8-B7-1C-0{last}").parse().ok();
        let first = Interface { port: UUID[0].to_owned(), device: "tap0".parse().ok(), mac: mac(1), queues: 2 };
        let second = Interface { port: UUID[1].to_owned(), device: None, mac: mac(2), queues: 1 };
        assert_eq!(found, [first, second]);
        assert_eq!(interfaces(&domain("", others)).unwrap(), []);
    }

    #[test]
    fn what_cannot_be_is_said() {
        let port =
            |interface: &str| format!("<n:port xmlns:n='{NAMESPACE}' interface='{interface}' uuid='{}'/>", UUID[0]);
        let tap = "<interface type='ethernet'><target dev='tap0'/></interface>";
        let bridge = "<interface type='bridge'><target dev='tap0'/></interface>";
        for (xml, words) in [
            (
                domain(&port("tap9"), tap),
                "interface tap9, but no interface has this target device or MAC address; its interfaces are tap0",
            ),
            (domain(&port("tap0"), bridge), "is of type 'bridge'"),
            (domain(&format!("<n:port xmlns:n='{NAMESPACE}' interface='tap0'/>"), tap), "lacks uuid"),
            ("<network/>".to_owned(), "no libvirt domain, but <network>"),
            ("<domain>".to_owned(), "not XML"),
        ] {
            let error = refused(&xml);
            assert!(error.contains(words), "{error}");
        }
    }
}
