//! Values of the fields of gateway connections, written as the command line writes them: `tcp:8443=10.0.0.5:443`.

use std::net::IpAddr;

use api::Problem;
use ipnet::IpNet;
use model::gateway::{BgpNeighbor, DnsZone, Floating, Forward, ForwardProtocol, StaticRoute};
use model::security::PortRange;

use crate::forms::Form;

/// A value of several parts that is written in one word.
pub trait Written: Sized {
    /// What it looks like.
    const LIKE: &'static str;
    /// Reads it.
    fn read(text: &str) -> Option<Self>;
    /// Writes it.
    fn write(&self) -> String;
}

/// The values of a field, one in each line or word.
///
/// # Errors
/// With the field, the word, and what one looks like.
pub fn list<T: Written>(form: &Form, field: &str) -> Result<Vec<T>, Problem> {
    let words = form.text(field).split([' ', '\n', '\r', '\t']).filter(|word| !word.is_empty());
    let read = |word: &str| {
        T::read(word).ok_or_else(|| Problem::invalid(format!("{field}: \"{word}\" cannot be read; write {}", T::LIKE)))
    };
    words.map(read).collect()
}

/// The same back, one in each line.
pub fn lines<T: Written>(values: &[T]) -> String {
    values.iter().map(T::write).collect::<Vec<_>>().join("\n")
}

impl Written for Floating {
    const LIKE: &'static str = "EXTERNAL=INTERNAL, such as 203.0.113.21=10.0.0.5";

    fn read(text: &str) -> Option<Self> {
        let (external, internal) = text.split_once('=')?;
        Some(Self { external: external.parse().ok()?, internal: internal.parse().ok()? })
    }

    fn write(&self) -> String {
        format!("{}={}", self.external, self.internal)
    }
}

impl Written for StaticRoute {
    const LIKE: &'static str = "PREFIX=NEXTHOP, such as 172.16.0.0/12=203.0.113.9";

    fn read(text: &str) -> Option<Self> {
        let (prefix, next_hop) = text.split_once('=')?;
        Some(Self { prefix: prefix.parse::<IpNet>().ok()?, next_hop: next_hop.parse().ok()? })
    }

    fn write(&self) -> String {
        format!("{}={}", self.prefix, self.next_hop)
    }
}

impl Written for Forward {
    const LIKE: &'static str =
        "PROTOCOL:[ADDRESS:]PORTS=ADDRESS[:PORT], such as tcp:8443=10.0.0.5:443, an IPv6 address in brackets";

    fn read(text: &str) -> Option<Self> {
        let (outside, inside) = text.split_once('=')?;
        let (protocol, outside) = outside.split_once(':')?;
        let protocol = match protocol {
            "tcp" => ForwardProtocol::Tcp,
            "udp" => ForwardProtocol::Udp,
            _ => return None,
        };
        let (external, ports) = match outside.parse::<PortRange>() {
            Ok(ports) => (None, ports),
            Err(_) => {
                let (address, ports) = address_and(outside)?;
                (Some(address), ports?.parse().ok()?)
            }
        };
        let (internal, port) = address_and(inside)?;
        let internal_port = port.map(str::parse).transpose().ok()?;
        Some(Self { protocol, external, ports, internal, internal_port })
    }

    fn write(&self) -> String {
        let bracketed = |address: IpAddr| if address.is_ipv6() { format!("[{address}]") } else { address.to_string() };
        let external = self.external.map(|address| format!("{}:", bracketed(address))).unwrap_or_default();
        let port = self.internal_port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}:{external}{}={}{port}", self.protocol.as_str(), self.ports, bracketed(self.internal))
    }
}

/// An address, in brackets if it is of IPv6, and what stands behind a colon after it.
fn address_and(text: &str) -> Option<(IpAddr, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let rest = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
        return Some((address.parse().ok()?, rest));
    }
    match text.split_once(':') {
        Some((address, rest)) => Some((address.parse().ok()?, Some(rest))),
        None => Some((text.parse().ok()?, None)),
    }
}

impl Written for DnsZone {
    const LIKE: &'static str = "ZONE=ADDRESS,..., such as corp.example=10.20.0.53";

    fn read(text: &str) -> Option<Self> {
        let (zone, servers) = text.split_once('=')?;
        let servers = servers.split(',').map(|server| server.parse().ok()).collect::<Option<Vec<_>>>()?;
        (!zone.is_empty()).then(|| Self { zone: zone.to_owned(), servers })
    }

    fn write(&self) -> String {
        format!("{}={}", self.zone, self.servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
    }
}

/// A neighbor without what has no field: that is put in from the one that was there.
impl Written for BgpNeighbor {
    const LIKE: &'static str = "ADDRESS=AS, such as 203.0.113.9=64513";

    fn read(text: &str) -> Option<Self> {
        let (address, number) = text.split_once('=')?;
        Some(Self {
            address: address.parse().ok()?,
            remote_as: number.parse().ok()?,
            password: None,
            multihop: false,
            hold_time: None,
            import: Vec::new(),
            export: Vec::new(),
            max_prefixes: None,
            graceful_restart: None,
        })
    }

    fn write(&self) -> String {
        format!("{}={}", self.address, self.remote_as)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comes_back<T: Written>(texts: &[&str]) {
        for text in texts {
            assert_eq!(T::read(text).map(|value| value.write()).as_deref(), Some(*text));
        }
        for wrong in ["", "x", "=", "tcp:80", "10.0.0.1=", "=10.0.0.1"] {
            assert!(T::read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn values_come_back_as_they_went() {
        comes_back::<Floating>(&["203.0.113.21=10.0.0.5", "2001:db8::1=fd00::5"]);
        comes_back::<StaticRoute>(&["172.16.0.0/12=203.0.113.9"]);
        comes_back::<Forward>(&[
            "tcp:8443=10.0.0.5:443",
            "udp:203.0.113.9:5000-5009=10.0.0.5",
            "tcp:[2001:db8::1]:80=[fd00::5]:8080",
            "tcp:80=[fd00::5]",
        ]);
        comes_back::<DnsZone>(&["corp.example=10.20.0.53,10.20.0.54"]);
        comes_back::<BgpNeighbor>(&["203.0.113.9=64513"]);
    }

    #[test]
    fn what_cannot_be_read_is_said_with_an_example() {
        let form = Form::default().with("forwards", "tcp:80=10.0.0.5\nicmp:80=10.0.0.5");
        let problem = list::<Forward>(&form, "forwards").unwrap_err();
        assert!(problem.detail.contains("icmp:80=10.0.0.5") && problem.detail.contains("tcp:8443="), "{problem}");
    }
}
