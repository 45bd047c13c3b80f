//! The command that does what the form of a gateway connection does. What is secret is read from a file there, and never stands in
//! the command.

use model::fabric::ResourceName;

use crate::forms::Form;
use crate::layout;

/// The flag of each field; what is secret is read from a file there.
const FLAGS: [(&str, &str); 23] = [
    ("vmNetwork", "vm-network"),
    ("gateway", "gateway"),
    ("sharedPorts", "shared-ports"),
    ("floating", "floating"),
    ("forwards", "forward"),
    ("vlan", "vlan"),
    ("routes", "route"),
    ("remote", "remote"),
    ("remotePrefixes", "remote-prefix"),
    ("localPrefixes", "local-prefix"),
    ("remoteId", "remote-id"),
    ("localId", "local-id"),
    ("peerKey", "peer-key"),
    ("endpoint", "endpoint"),
    ("listenPort", "listen-port"),
    ("keepalive", "keepalive"),
    ("addresses", "tunnel-address"),
    ("domain", "domain"),
    ("forwarders", "forwarder"),
    ("zones", "zone"),
    ("localAs", "bgp-as"),
    ("neighbors", "neighbor"),
    ("description", "description"),
];

/// The command that does the same.
pub fn command(verb: &str, form: &Form, tenant: &ResourceName, name: &str, service: &str) -> String {
    let mut line = format!("netvirt {verb} gateway-connection {}", layout::word(form.given("name").unwrap_or(name)));
    for (field, flag) in FLAGS {
        if field == "gateway" {
            line.push_str(key(verb, form, service));
        }
        let whole = matches!(field, "vmNetwork" | "gateway" | "description" | "remoteId" | "localId");
        let separators: &[char] = if field == "zones" { &['\n', '\r'] } else { &[' ', ',', '\n', '\r'] };
        let words: Vec<&str> =
            if whole { vec![form.text(field)] } else { form.text(field).split(separators).collect() };
        for word in words.into_iter().filter(|word| !word.is_empty()) {
            line.push_str(&format!(" --{flag} {}", layout::word(word)));
        }
    }
    if service == "ipsec" {
        // A change says it also where the box is not ticked any more.
        line.push_str(match (form.is_set("passive"), verb) {
            (true, _) => " --passive",
            (false, "set") => " --passive=false",
            (false, _) => "",
        });
    }
    format!("{line} --{service}{}", layout::for_tenant(Some(tenant)))
}

/// The key, if one is needed or was typed, as the name of a file.
fn key(verb: &str, form: &Form, service: &str) -> &'static str {
    let is_typed = form.first("psk").is_some_and(|psk| !psk.is_empty());
    match service {
        "ipsec" if is_typed || verb == "create" => " --psk-file FILE",
        "wireguard" if is_typed => " --preshared-key-file FILE",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(verb: &str, pairs: &str, service: &str) -> String {
        let form = Form::read(format!("vmNetwork=front&gateway=edge&{pairs}").as_bytes());
        command(verb, &form, &"blue".parse().unwrap(), "home", service)
    }

    #[test]
    fn a_command_says_all_that_the_form_does_and_no_secret() {
        assert_eq!(
            said("set", "psk=opensesame&localPrefixes=10.1.0.0/16,10.2.0.0/16&passive=yes", "ipsec"),
            "netvirt set gateway-connection home --vm-network front --psk-file FILE --gateway edge --local-prefix 10.1.0.0/16 \
             --local-prefix 10.2.0.0/16 --passive --ipsec --tenant blue"
        );
        assert_eq!(
            said("set", "psk=&remote=198.51.100.1", "ipsec"),
            "netvirt set gateway-connection home --vm-network front --gateway edge --remote 198.51.100.1 --passive=false --ipsec \
             --tenant blue"
        );
        assert!(
            said("create", "", "ipsec").contains(" --psk-file FILE ")
                && !said("create", "", "ipsec").contains("passive")
        );
        assert!(said("set", "psk=opensesame", "wireguard").contains(" --preshared-key-file FILE "));
        assert!(!said("create", "psk=", "wireguard").contains("FILE"));
    }
}
