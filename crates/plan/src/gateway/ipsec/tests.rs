//! What tunnels of IPsec become of what is declared.

use model::gateway::{Compartment, Inside, Outside};

use super::*;

/// A compartment with these connections, as JSON.
fn compartment(connections: &str) -> Compartment {
    let inside: Inside = serde_json::from_str(
        r#"{"device": "gw1", "mac": "02:00:00:00:00:01", "addresses": ["10.254.254.2/29"], "routers": ["10.254.254.1"],
            "prefixes": ["10.1.0.0/24", "10.1.1.0/24", "fd00:1::/64"]}"#,
    )
    .unwrap();
    let outside: Outside =
        serde_json::from_str(r#"{"mac": "02:00:00:00:01:01", "addresses": ["203.0.113.5/24", "203.0.113.7/24"]}"#)
            .unwrap();
    let connections = serde_json::from_str(connections).unwrap();
    Compartment {
        name: "aaa/net".parse().unwrap(),
        standby: false,
        leaving: false,
        inside,
        outside: Some(outside),
        connections,
    }
}

/// The one tunnel of such a compartment, with these fields beside its remote and its key.
fn check<T>(more: &str, look: impl FnOnce(Result<&Tunnel<'_>, &Error>) -> T) -> T {
    let compartment =
        compartment(&format!(r#"[{{"name": "office", "ipsec": {{"remote": "198.51.100.1", "psk": "x"{more}}}}}]"#));
    look(tunnels(&compartment)[0].1.as_ref())
}

fn texts(prefixes: &[IpNet]) -> Vec<String> {
    prefixes.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_left_out_is_chosen() {
    check(r#", "remotePrefixes": ["10.2.0.1/16"]"#, |tunnel| {
        let tunnel = tunnel.unwrap();
        assert_eq!(tunnel.local.to_string(), "203.0.113.5");
        assert_eq!((tunnel.local_id.as_str(), tunnel.remote_id.as_str()), ("203.0.113.5", "198.51.100.1"));
        assert_eq!(texts(&tunnel.local_selectors), ["10.1.0.0/24", "10.1.1.0/24", "fd00:1::/64"]);
        assert_eq!(texts(&tunnel.remote_selectors), ["10.2.0.0/16"]);
        assert_eq!(texts(&tunnel.routes), ["10.2.0.0/16"]);
        assert_eq!(texts(&tunnel.addresses), ["10.1.0.1/32", "10.1.1.1/32", "fd00:1::1/128"]);
        assert!(tunnel.opens);
        assert_eq!((tunnel.dpd_delay, tunnel.rekey_time), (5, 3600));
        assert_eq!(tunnel.ike_proposals[0], "aes256gcm16-prfsha384-ecp384");
        // Of the proposals CBC has the most around it: 1500 - 20 - 8 - 8 - 16 - 16 is 1432; whole blocks are 1424.
        assert_eq!(mtu(1500, tunnel, Esp::Kernel), 1422);
        assert_eq!(mtu(1500, tunnel, Esp::Userspace), 1400);
        assert_eq!(mtu(1400, tunnel, Esp::Userspace), 1326);
    });
    check(r#", "remotePrefixes": ["10.2.0.0/16"], "espProposals": ["aes256gcm16-ecp384"]"#, |tunnel| {
        assert_eq!(mtu(1500, tunnel.unwrap(), Esp::Kernel), 1438);
    });
}

#[test]
fn all_is_led_into_a_tunnel_in_two_halves() {
    check(r#", "remotePrefixes": ["0.0.0.0/0", "::/0"]"#, |tunnel| {
        assert_eq!(texts(&tunnel.unwrap().routes), ["0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"]);
    });
}

#[test]
fn routes_that_are_learnt_may_be_any() {
    let compartment = compartment(
        r#"[{"name": "office", "ipsec": {"remote": "198.51.100.1", "psk": "x", "addresses": ["169.254.10.1/30"]},
            "bgp": {"localAs": 65001, "neighbors": [{"address": "169.254.10.2", "remoteAs": 65002}]}}]"#,
    );
    let tunnels = tunnels(&compartment);
    let tunnel = tunnels[0].1.as_ref().unwrap();
    assert_eq!(texts(&tunnel.local_selectors), ["0.0.0.0/0", "::/0"]);
    assert_eq!(texts(&tunnel.remote_selectors), ["0.0.0.0/0", "::/0"]);
    assert_eq!(texts(&tunnel.routes), [] as [&str; 0]);
    assert_eq!(texts(&tunnel.addresses), ["169.254.10.1/30", "fd00:1::1/128"]);
}

#[test]
fn what_cannot_be_is_said() {
    check(r#", "remotePrefixes": ["10.2.0.0/16"], "localPrefixes": ["10.1.0.128/25"]"#, |tunnel| {
        let said = tunnel.unwrap_err().to_string();
        assert!(said.contains("10.1.0.128/25 is a part of subnet 10.1.0.0/24"), "{said}");
    });
    check(r#", "remotePrefixes": ["10.2.0.0/16"], "localPrefixes": ["10.1.0.0/25"]"#, |tunnel| {
        assert_eq!(texts(&tunnel.unwrap().addresses), ["10.1.0.1/32"]);
    });
    check("", |tunnel| assert_eq!(tunnel.unwrap_err(), &Error::NoSelectors));
    check(
        r#", "remotePrefixes": ["10.2.0.0/16"], "certificates": {"certificate": "", "privateKey": "", "ca": ""}"#,
        |tunnel| {
            assert_eq!(tunnel.unwrap_err(), &Error::Authentication);
        },
    );
    let two = compartment(
        r#"[{"name": "a", "ipsec": {"remote": "198.51.100.1", "psk": "x", "remotePrefixes": ["10.2.0.0/16"]}},
            {"name": "b", "ipsec": {"remote": "198.51.100.2", "psk": "x", "remotePrefixes": ["10.2.0.0/16"]}},
            {"name": "c", "ipsec": {"remote": "2001:db8::1", "psk": "x", "remotePrefixes": ["10.3.0.0/16"]}}]"#,
    );
    let said: Vec<_> = tunnels(&two).into_iter().map(|(_, made)| made.err().map(|error| error.to_string())).collect();
    assert_eq!(said[0], None);
    assert_eq!(said[1].as_deref(), Some("10.2.0.0/16 is behind tunnel a already; let one of the two lead there"));
    assert!(said[2].as_ref().unwrap().contains("no IPv6 address of its own outside, by which 2001:db8::1"), "{said:?}");
}

#[test]
fn a_side_that_waits_need_not_know_where_the_other_one_is() {
    let told = |said: &str| {
        let compartment = compartment(&format!(
            r#"[{{"name": "cafe", "ipsec": {{"psk": "x", {said}}}}},
                {{"name": "bar", "ipsec": {{"psk": "y", "passive": true, "remoteId": "cafe.example",
                  "remotePrefixes": ["10.4.0.0/24"]}}}}]"#
        ));
        let made: Vec<_> = tunnels(&compartment).into_iter().map(|(_, made)| made).collect();
        let first = match &made[0] {
            Ok(tunnel) => format!("{} {:?} {}: {}", tunnel.local, tunnel.remote, tunnel.remote_id, tunnel.waiting()),
            Err(error) => error.to_string(),
        };
        (first, made[1].as_ref().err().map(ToString::to_string).unwrap_or_default())
    };
    let (first, second) = told(r#""passive": true, "remoteId": "cafe.example", "remotePrefixes": ["10.3.0.0/24"]"#);
    assert!(first.starts_with("203.0.113.5 None cafe.example: waiting for \"cafe.example\" from anywhere"), "{first}");
    assert!(second.contains("tunnel cafe waits for \"cafe.example\" from anywhere too"), "{second}");
    for (said, wanted) in [
        (r#""remoteId": "a", "remotePrefixes": ["10.3.0.0/24"]"#, "names no remote, and opens itself"),
        (r#""passive": true, "remotePrefixes": ["10.3.0.0/24"]"#, "set ipsec.remoteId to that"),
        (r#""passive": true, "remoteId": "a", "remotePrefixes": ["::/0"]"#, "leads everything to a side"),
    ] {
        let (first, _) = told(said);
        assert!(first.contains(wanted), "{first}");
    }
}

#[test]
fn one_that_stands_by_or_is_leaving_has_no_tunnel() {
    let said = r#"{"remote": "198.51.100.1", "psk": "x", "remotePrefixes": ["10.2.0.0/16"]}"#;
    let mut compartment = compartment(&format!(r#"[{{"name": "office", "ipsec": {said}}}]"#));
    assert_eq!(tunnels(&compartment).len(), 1);
    for leaving in [false, true] {
        (compartment.standby, compartment.leaving) = (true, leaving);
        assert!(tunnels(&compartment).is_empty());
    }
}

#[test]
fn charon_is_told_to_do_esp_where_the_kernel_does_not() {
    let own = strongswan_conf(Esp::Userspace, "/run/charon.vici");
    assert!(own.contains("pem kernel-libipsec kernel-netlink socket-default vici\n"), "{own}");
    assert!(own.contains("socket = unix:///run/charon.vici\n"));
    let kernel = strongswan_conf(Esp::Kernel, "/run/charon.vici");
    assert!(kernel.contains("pem kernel-netlink socket-default vici\n"), "{kernel}");
}
