//! Names of network namespaces: one of each compartment, and one of each edge. Different hosts and compartments never have the
//! same one, whatever their names are, since one machine may hold several hosts.

use model::QualifiedName;
use model::VlanId;

/// How all of them begin.
const BEGINNING: &str = "nvgw";

/// How all namespaces of a host's gateway begin.
pub fn namespace_prefix(host: &str) -> String {
    format!("{BEGINNING}.{}.", escaped(host))
}

/// The namespace of a compartment: `nvgw.HOST.TENANT.NETWORK`.
pub fn namespace_name(host: &str, compartment: &QualifiedName) -> String {
    let parts: Vec<_> = compartment.as_str().split('/').map(escaped).collect();
    // The word stands between, because a compartment may be called "edge" too.
    format!("{}c.{}", namespace_prefix(host), parts.join("."))
}

/// The namespace of a host's edge in a VLAN of its external interface.
pub fn edge_namespace(host: &str, vlan: Option<VlanId>) -> String {
    match vlan {
        None => format!("{}edge", namespace_prefix(host)),
        Some(vlan) => format!("{}edge.{vlan}", namespace_prefix(host)),
    }
}

/// A name with nothing in it but letters and digits of ASCII, '-' and '_': what else there was is `_` and two hexadecimal
/// digits for each byte. No two names become one.
fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => text.push(char::from(byte)),
            other => text.push_str(&format!("_{other:02x}")),
        }
    }
    text
}

/// FNV-1a of 64 bits (draft-eastlake-fnv): the same on every machine and in every version. It keeps nobody from finding two
/// texts with one value.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> QualifiedName {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_readable_and_never_the_same() {
        assert_eq!(namespace_name("gw1", &name("aaa/net-1")), "nvgw.gw1.c.aaa.net-1");
        assert_eq!(namespace_name("gw1.example", &name("a b/c_d")), "nvgw.gw1_2eexample.c.a_20b.c_5fd");
        assert_ne!(namespace_name("h", &name("a.b/c")), namespace_name("h", &name("a/b.c")));
        assert_ne!(namespace_name("h", &name("edge")), edge_namespace("h", None));
        assert_eq!(edge_namespace("gw1", Some(VlanId::new(7).unwrap())), "nvgw.gw1.edge.7");
        assert!(!namespace_name("gw1", &name("a")).starts_with(&namespace_prefix("gw")));
    }

    #[test]
    fn the_hash_is_that_of_the_draft() {
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
