//! One line of the log of sessions: who had which address and port of the outside, from when to when (RFC 6888, REQ-12).

use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use host::conntrack::{Entry, Layer4, Tuple};

/// What is told of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// It has been opened.
    Opened,
    /// It was there when the log began to watch.
    Found,
    /// It has ended.
    Ended,
}

impl What {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Found => "found",
            Self::Ended => "ended",
        }
    }
}

/// The line of a session; `None` of one that was not translated.
///
/// `TIME WHAT TENANT/NETWORK CONNECTION PROTOCOL INSIDE OUTSIDE PEER`: the VM's own address and port, those that stood for it
/// outside, and with whom it spoke. ICMP's queries have their identifier for a port.
pub fn line(now: SystemTime, what: What, compartment: &str, connection: &str, entry: &Entry) -> Option<String> {
    let Entry { original, reply, .. } = entry;
    let (inside, outside, peer) = if original.source != reply.destination || port(original, true) != port(reply, false)
    {
        // Sources are translated: a VM has opened it.
        (end(original, true), end(reply, false), end(original, false))
    } else if original.destination != reply.source || port(original, false) != port(reply, true) {
        (end(reply, true), end(original, false), end(original, true))
    } else {
        return None;
    };
    let protocol = match original.protocol {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        58 => "icmpv6".to_owned(),
        other => other.to_string(),
    };
    let time = humantime::format_rfc3339_millis(now);
    let what = what.as_str();
    // Names may have blanks, fields may not.
    let (compartment, connection) = (compartment.replace(' ', "\\ "), connection.replace(' ', "\\ "));
    Some(format!("{time} {what} {compartment} {connection} {protocol} {inside} {outside} {peer}\n"))
}

/// A port of a direction: that of its source, or of its destination.
fn port(tuple: &Tuple, source: bool) -> u16 {
    match tuple.layer4 {
        Layer4::Ports(from, to) => {
            if source {
                from
            } else {
                to
            }
        }
        Layer4::Icmp(identifier, ..) => identifier,
        Layer4::None => 0,
    }
}

/// One end of a direction.
fn end(tuple: &Tuple, source: bool) -> SocketAddr {
    let address: IpAddr = if source { tuple.source } else { tuple.destination };
    SocketAddr::new(address, port(tuple, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(source: &str, destination: &str, layer4: Layer4) -> Tuple {
        let protocol = if matches!(layer4, Layer4::Icmp(..)) { 1 } else { 17 };
        Tuple { source: source.parse().unwrap(), destination: destination.parse().unwrap(), protocol, layer4 }
    }

    fn told(original: Tuple, reply: Tuple) -> Option<String> {
        let entry = Entry { original, reply, status: 0, timeout: 0, mark: 0, zone: 0, tcp: None };
        line(SystemTime::UNIX_EPOCH, What::Opened, "aaa/my net", "internet", &entry)
    }

    #[test]
    fn both_directions_and_pings_name_the_vm_first() {
        let vm = tuple("10.1.0.5", "198.51.100.1", Layer4::Ports(6000, 53));
        let answer = tuple("198.51.100.1", "203.0.113.5", Layer4::Ports(53, 1025));
        assert_eq!(
            told(vm, answer).unwrap(),
            "1970-01-01T00:00:00.000Z opened aaa/my\\ net internet udp 10.1.0.5:6000 203.0.113.5:1025 198.51.100.1:53\n"
        );
        let visitor = tuple("198.51.100.1", "203.0.113.5", Layer4::Ports(6000, 8000));
        let answer = tuple("10.1.0.5", "198.51.100.1", Layer4::Ports(80, 6000));
        assert!(told(visitor, answer).unwrap().ends_with("udp 10.1.0.5:80 203.0.113.5:8000 198.51.100.1:6000\n"));
        let ping = tuple("10.1.0.5", "198.51.100.1", Layer4::Icmp(7, 8, 0));
        let answer = tuple("198.51.100.1", "203.0.113.5", Layer4::Icmp(1030, 0, 0));
        assert!(told(ping, answer).unwrap().ends_with("icmp 10.1.0.5:7 203.0.113.5:1030 198.51.100.1:7\n"));
    }

    #[test]
    fn what_is_not_translated_is_not_told() {
        let there = tuple("10.1.0.5", "172.16.0.1", Layer4::Ports(6000, 53));
        assert_eq!(told(there, tuple("172.16.0.1", "10.1.0.5", Layer4::Ports(53, 6000))), None);
    }
}
