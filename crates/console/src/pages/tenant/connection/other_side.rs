//! What the other side of a VPN is configured with: the text for strongSwan or WireGuard, and a table of parameters for any
//! other device. Pure; secrets are never in it, but what stands for them.

use std::fmt::Write as _;
use std::net::IpAddr;

use ipnet::IpNet;
use model::gateway::{Bgp, Ipsec, Wireguard};
use plan::gateway::ipsec;
use plan::gateway::wireguard::LISTEN_PORT;

use crate::pages::tenant::pieces::joined;
use crate::texts::Text;
use crate::texts::tenant::*;

/// What stands for the pre-shared key.
pub const PSK: &str = "<the pre-shared key>";

/// What is known of our side.
pub struct Ours<'o> {
    /// The connection's name.
    pub name: &'o str,
    /// The addresses outside.
    pub outside: &'o [IpAddr],
    /// The prefixes of the VM network's subnets.
    pub prefixes: &'o [IpNet],
    /// The public key of WireGuard, once it is known.
    pub public_key: Option<&'o str>,
    /// Routes that are exchanged.
    pub bgp: Option<&'o Bgp>,
}

/// What the other side of an IPsec tunnel is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IpsecSide {
    /// `swanctl.conf`.
    pub swanctl: String,
    /// The same as parameters, each with its value.
    pub parameters: Vec<(Text, String)>,
}

impl Ours<'_> {
    /// Our address of a family; what stands for it as long as there is none.
    fn address(&self, like: Option<IpAddr>) -> String {
        let same = |address: &&IpAddr| like.is_none_or(|like| like.is_ipv4() == address.is_ipv4());
        self.outside.iter().find(same).map_or_else(|| "<the gateway's address>".to_owned(), ToString::to_string)
    }

    /// The other side of an IPsec tunnel.
    ///
    /// # Errors
    /// Why there can be no such tunnel.
    pub fn ipsec(&self, ipsec: &Ipsec) -> Result<IpsecSide, ipsec::Error> {
        let (here, there) = ipsec::selectors(self.prefixes, self.bgp.is_some(), ipsec)?;
        let (ike, esp) = ipsec::proposals(ipsec);
        let our_address = self.address(ipsec.remote);
        // One that only answers need not know where the other side is.
        let their_address = ipsec.remote.map_or_else(|| "%any".to_owned(), |remote| remote.to_string());
        let their_id = ipsec.remote_id.clone().unwrap_or_else(|| their_address.clone());
        let our_id = ipsec.local_id.clone().unwrap_or_else(|| our_address.clone());
        let section = section(self.name);
        let by_key = ipsec.certificates.is_none();
        let auth = if by_key { "psk" } else { "pubkey" };
        // The side that waits is opened by the other one.
        let action = if ipsec.passive { "start" } else { "trap" };
        let mut text = format!(
            "# The other side of {name}; it goes into /etc/swanctl/conf.d/{section}.conf\n\
             connections {{\n  {section} {{\n    version = 2\n    local_addrs = {their_address}\n    remote_addrs = {our_address}\n    \
             proposals = {}\n    encap = yes\n    dpd_delay = {}s\n    local {{\n      auth = {auth}\n      id = {}\n",
            words(&ike),
            ipsec.dpd_delay.unwrap_or(ipsec::DPD_DELAY),
            quoted(&their_id),
            name = one_line(self.name),
        );
        if !by_key {
            text.push_str("      certs = <your certificate>\n");
        }
        let _ = write!(
            text,
            "    }}\n    remote {{\n      auth = {auth}\n      id = {}\n    }}\n    children {{\n      {section} {{\n        \
             local_ts = {}\n        remote_ts = {}\n        esp_proposals = {}\n        rekey_time = {}s\n        \
             start_action = {action}\n      }}\n    }}\n  }}\n}}\n",
            quoted(&our_id),
            joined(&there),
            joined(&here),
            words(&esp),
            ipsec.rekey_time.unwrap_or(ipsec::REKEY_TIME),
        );
        if by_key {
            let _ = write!(
                text,
                "secrets {{\n  ike-{section} {{\n    id = {}\n    secret = \"{PSK}\"\n  }}\n}}\n",
                quoted(&our_id)
            );
        }
        let parameters = vec![
            (PEER_ADDRESS, our_address),
            (IKE_VERSION, "IKEv2".to_owned()),
            (AUTHENTICATION, if by_key { PSK.to_owned() } else { "RSA/ECDSA".to_owned() }),
            (YOUR_ID, their_id),
            (OUR_ID, our_id),
            (IKE_PROPOSALS, joined(&ike)),
            (ESP_PROPOSALS, joined(&esp)),
            (YOUR_PREFIXES, joined(&there)),
            (OUR_PREFIXES, joined(&here)),
            (REKEY, format!("{} s", ipsec.rekey_time.unwrap_or(ipsec::REKEY_TIME))),
            (DPD, format!("{} s", ipsec.dpd_delay.unwrap_or(ipsec::DPD_DELAY))),
            (NAT_TRAVERSAL, "UDP 500, 4500".to_owned()),
        ];
        Ok(IpsecSide { swanctl: text, parameters })
    }

    /// The file of the other side of a WireGuard tunnel, for `wg-quick`.
    pub fn wg_quick(&self, wireguard: &Wireguard) -> String {
        let Wireguard { peer_key, endpoint, preshared_key, listen_port, keepalive, addresses, .. } = wireguard;
        let mut text = format!("# The other side of {}; for \"wg-quick up\"\n[Interface]\n", one_line(self.name));
        let _ =
            writeln!(text, "# The private key that {} belongs to.\nPrivateKey = <your private key>", peer_key.as_str());
        if let Some(endpoint) = endpoint {
            let _ = writeln!(text, "ListenPort = {}", endpoint.port());
        }
        for address in addresses {
            let _ = match theirs(address) {
                Some(theirs) => writeln!(text, "Address = {theirs}"),
                None => writeln!(text, "# Address = another address of {}", address.trunc()),
            };
        }
        let key =
            self.public_key.unwrap_or("<the gateway's public key; it is shown here once the gateway has made it>");
        let _ = writeln!(text, "\n[Peer]\nPublicKey = {key}");
        if preshared_key.is_some() {
            let _ = writeln!(text, "PresharedKey = {PSK}");
        }
        let outside = self.address(endpoint.map(|endpoint| endpoint.ip()));
        let outside = if outside.contains(':') { format!("[{outside}]") } else { outside };
        let _ = writeln!(text, "Endpoint = {outside}:{}", listen_port.unwrap_or(LISTEN_PORT));
        let inside = self.prefixes.iter().copied().chain(addresses.iter().map(IpNet::trunc));
        let _ = writeln!(text, "AllowedIPs = {}", joined(inside));
        // Whom we cannot call must call us, and be heard of again and again.
        if endpoint.is_none() || keepalive.is_some() {
            let _ = writeln!(text, "PersistentKeepalive = {}", keepalive.unwrap_or(25));
        }
        text
    }

    /// What the other side's BGP is told; nothing without.
    pub fn bgp(&self, addresses: &[IpNet]) -> Vec<(Text, String)> {
        let Some(bgp) = self.bgp else { return Vec::new() };
        let ours = if addresses.is_empty() { joined(self.outside) } else { joined(addresses.iter().map(IpNet::addr)) };
        let neighbor = |one: &model::gateway::BgpNeighbor| format!("{} (AS {})", one.address, one.remote_as);
        vec![
            (BGP_PEER, format!("{ours} (AS {})", bgp.local_as)),
            (BGP_YOU, joined(bgp.neighbors.iter().map(neighbor))),
            (BGP_ANNOUNCED, if bgp.announce.is_empty() { joined(self.prefixes) } else { joined(&bgp.announce) }),
        ]
    }
}

/// Another address of the prefix that ours is in, if there is one.
fn theirs(ours: &IpNet) -> Option<IpNet> {
    // The first of an IPv6 prefix is that of all its routers (RFC 4291, 2.6.1), but of two addresses each is a host's.
    let kept = |address: &IpAddr| address.is_ipv6() && ours.prefix_len() < 127 && *address == ours.network();
    let mut hosts = ours.trunc().hosts().take(3).filter(|address| *address != ours.addr() && !kept(address));
    IpNet::new(hosts.next()?, ours.prefix_len()).ok()
}

/// A name as that of a section in strongSwan's configuration.
fn section(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '-' }).collect()
}

/// A text as a value that cannot end before its end: what strongSwan's parser takes for the end of a string, or of a line,
/// is not in it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => quoted.push(' '),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// Proposals, which have letters, digits and hyphens alone.
fn words(proposals: &[String]) -> String {
    let plain = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '-' || *letter == '_';
    joined(proposals.iter().map(|proposal| proposal.chars().filter(plain).collect::<String>()))
}

fn one_line(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=";

    fn ours<'o>(outside: &'o [IpAddr], prefixes: &'o [IpNet]) -> Ours<'o> {
        Ours { name: "to home", outside, prefixes, public_key: Some(KEY), bgp: None }
    }

    fn sides() -> (Vec<IpAddr>, Vec<IpNet>) {
        let outside = ["2001:db8::5", "203.0.113.16"].map(|text| text.parse().unwrap());
        (outside.to_vec(), vec!["10.10.1.0/24".parse().unwrap()])
    }

    #[test]
    fn the_other_side_of_ipsec_has_the_same_the_other_way_round() {
        let (outside, prefixes) = sides();
        let text = "{remote: 203.0.113.100, psk: swordfish, remotePrefixes: [10.20.0.0/16], espProposals: [aes256gcm16-ecp384]}";
        let side = ours(&outside, &prefixes).ipsec(&serde_saphyr::from_str(text).unwrap()).unwrap();
        for line in [
            "  to-home {\n    version = 2\n    local_addrs = 203.0.113.100\n    remote_addrs = 203.0.113.16\n",
            "local_ts = 10.20.0.0/16\n        remote_ts = 10.10.1.0/24\n        esp_proposals = aes256gcm16-ecp384\n",
            "secret = \"<the pre-shared key>\"",
            "start_action = trap",
        ] {
            assert!(side.swanctl.contains(line), "{line} is not in\n{}", side.swanctl);
        }
        assert!(!side.swanctl.contains("swordfish"));
        assert_eq!(side.swanctl.matches('{').count(), side.swanctl.matches('}').count());
        assert!(side.parameters.iter().any(|(_, value)| value == "10.20.0.0/16"));
    }

    #[test]
    fn what_somebody_typed_cannot_end_its_value() {
        let (outside, prefixes) = sides();
        let ipsec = Ipsec {
            remote: "203.0.113.100".parse().ok(),
            local_id: Some("a\"}\n}\nsecrets { x".to_owned()),
            remote_prefixes: vec!["10.20.0.0/16".parse().unwrap()],
            ike_proposals: vec!["aes256\n}".to_owned()],
            ..Ipsec::default()
        };
        let side = ours(&outside, &prefixes).ipsec(&ipsec).unwrap();
        assert!(side.swanctl.contains("id = \"a\\\"} } secrets { x\"\n"), "{}", side.swanctl);
        assert!(side.swanctl.contains("proposals = aes256\n"));
    }

    #[test]
    fn a_tunnel_that_cannot_be_is_said_with_its_reason() {
        let (outside, prefixes) = sides();
        assert_eq!(ours(&outside, &prefixes).ipsec(&Ipsec::default()), Err(ipsec::Error::NoSelectors));
        let text = "{passive: true, remoteId: office.example, psk: x, remotePrefixes: [10.20.0.0/16]}";
        let side = ours(&outside, &prefixes).ipsec(&serde_saphyr::from_str(text).unwrap()).unwrap();
        assert!(side.swanctl.contains("local_addrs = %any\n") && side.swanctl.contains("start_action = start"));
    }

    #[test]
    fn the_other_side_of_wireguard_is_told_whom_to_call() {
        let (outside, prefixes) = sides();
        let text = format!(
            "{{peerKey: {KEY}, presharedKey: {KEY}, endpoint: '203.0.113.101:51821', addresses: [169.254.7.1/30]}}"
        );
        let side = ours(&outside, &prefixes).wg_quick(&serde_saphyr::from_str(&text).unwrap());
        for line in [
            "ListenPort = 51821\n",
            "Address = 169.254.7.2/30\n",
            "PresharedKey = <the pre-shared key>\n",
            "Endpoint = 203.0.113.16:51820\n",
            "AllowedIPs = 10.10.1.0/24, 169.254.7.0/30\n",
        ] {
            assert!(side.contains(line), "{line} is not in\n{side}");
        }
        let waits =
            ours(&outside, &prefixes).wg_quick(&serde_saphyr::from_str(&format!("{{peerKey: {KEY}}}")).unwrap());
        assert!(
            waits.contains("Endpoint = [2001:db8::5]:51820\n") && waits.contains("PersistentKeepalive = 25"),
            "{waits}"
        );
    }

    #[test]
    fn addresses_of_the_other_end() {
        let other = |text: &str| theirs(&text.parse().unwrap()).map(|address| address.to_string());
        assert_eq!(other("169.254.7.2/30").as_deref(), Some("169.254.7.1/30"));
        assert_eq!(other("169.254.7.1/31").as_deref(), Some("169.254.7.0/31"));
        assert_eq!(other("fd00::1/64").as_deref(), Some("fd00::2/64"));
        assert_eq!(other("10.0.0.1/32"), None);
    }
}
