//! Domain names on the wire (RFC 1035, section 3.1), without compression: DHCPv6 (RFC 8415, section 10) and router
//! advertisements (RFC 8106, section 5.2) forbid it.

use dhcproto::Name;

/// The names among the suffixes that can be written; the model lets no other pass.
pub fn names(suffixes: &[String]) -> Vec<Name> {
    suffixes
        .iter()
        .filter_map(|suffix| {
            let mut name = Name::from_ascii(suffix.trim_end_matches('.')).ok()?;
            name.set_fqdn(true);
            (!name.is_root()).then_some(name)
        })
        .collect()
}

/// The names one after the other.
pub fn wire(names: &[Name]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for name in names {
        for label in name.iter() {
            // A label that was parsed has at most 63 bytes.
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label);
        }
        bytes.push(0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_label_by_label() {
        let suffixes = ["corp.example".to_owned(), "lab.".to_owned(), String::new(), "..".to_owned()];
        assert_eq!(wire(&names(&suffixes)), b"\x04corp\x07example\x00\x03lab\x00");
    }

    #[test]
    fn what_is_no_name_is_left_out() {
        assert!(names(&["a".repeat(64), "a..b".to_owned()]).is_empty());
    }
}
