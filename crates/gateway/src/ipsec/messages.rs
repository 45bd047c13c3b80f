//! What charon is told of a tunnel, in VICI's words (strongSwan's `vici/README.md` and `swanctl.conf(5)`).

use plan::gateway::ipsec::{Authentication, Esp, INTERFACE_ID, Tunnel};

use crate::vici::Section;

/// The message of `load-conn`: the connection, with one child of the same name.
pub(super) fn connection(tunnel: &Tunnel<'_>, esp: Esp) -> Section {
    let opening = if tunnel.opens { "start" } else { "none" };
    // A passive side forgets a dead one, which will open the tunnel again; the other side tries until it is there.
    let dead = if tunnel.opens { "restart" } else { "clear" };
    let mut child = Section::new()
        .value("mode", "tunnel")
        .value("rekey_time", seconds(tunnel.rekey_time))
        // Until the hard end there is time in which new keys can be made.
        .value("life_time", seconds(tunnel.rekey_time.saturating_add((tunnel.rekey_time / 10).max(60))))
        .value("rand_time", seconds(tunnel.rekey_time / 20))
        .value("start_action", opening)
        .value("close_action", opening)
        .value("dpd_action", dead)
        .list("local_ts", tunnel.local_selectors.iter().map(ToString::to_string))
        .list("remote_ts", tunnel.remote_selectors.iter().map(ToString::to_string))
        .list("esp_proposals", &tunnel.esp_proposals);
    if esp == Esp::Kernel {
        child = child.value("if_id_in", INTERFACE_ID.to_string()).value("if_id_out", INTERFACE_ID.to_string());
    }
    let encap = if esp == Esp::Userspace { "yes" } else { "no" };
    let connection = Section::new()
        .value("version", "2")
        .list("local_addrs", [tunnel.local.to_string()])
        .list("remote_addrs", [tunnel.remote.map_or_else(|| "%any".to_owned(), |remote| remote.to_string())])
        .list("proposals", &tunnel.ike_proposals)
        .value("encap", encap)
        .value("mobike", "no")
        .value("fragmentation", "yes")
        .value("dpd_delay", seconds(tunnel.dpd_delay))
        .value("keyingtries", "0")
        .value("reauth_time", "0s")
        .value("rekey_time", "14400s")
        .section("local", local(tunnel))
        .section("remote", remote(tunnel))
        .section("children", Section::new().section(tunnel.name, child));
    Section::new().section(tunnel.name, connection)
}

fn local(tunnel: &Tunnel<'_>) -> Section {
    let who = Section::new().value("id", &tunnel.local_id);
    match tunnel.authentication {
        Authentication::Psk(_) => who.value("auth", "psk"),
        Authentication::Certificates(own) => {
            who.value("auth", "pubkey").list("certs", certificates(&own.certificate).into_iter().take(1))
        }
    }
}

fn remote(tunnel: &Tunnel<'_>) -> Section {
    let who = Section::new().value("id", &tunnel.remote_id);
    match tunnel.authentication {
        Authentication::Psk(_) => who.value("auth", "psk"),
        Authentication::Certificates(own) => who.value("auth", "pubkey").list("cacerts", certificates(&own.ca)),
    }
}

/// The keys and certificates of a tunnel: commands with their messages. The certificates are in [`connection`] too, where
/// charon is told what they are for; here they are for what lies between them, and for a charon that was told to forget all.
pub(super) fn credentials(tunnel: &Tunnel<'_>) -> Vec<(&'static str, Section)> {
    let own = match tunnel.authentication {
        Authentication::Psk(psk) => {
            let message = Section::new().value("id", tunnel.name).value("type", "IKE").value("data", psk.reveal());
            return vec![("load-shared", message.list("owners", [&tunnel.local_id, &tunnel.remote_id]))];
        }
        Authentication::Certificates(own) => own,
    };
    let certificate = |text: &String, flag| {
        let message = Section::new().value("type", "X509").value("flag", flag).value("data", text);
        ("load-cert", message)
    };
    let key = Section::new().value("type", "any").value("data", own.private_key.reveal());
    let mut messages = vec![("load-key", key)];
    messages.extend(certificates(&own.certificate).iter().map(|text| certificate(text, "NONE")));
    messages.extend(certificates(&own.ca).iter().map(|text| certificate(text, "CA")));
    messages
}

/// The certificates of a text, each by itself: charon takes one at a time.
fn certificates(text: &str) -> Vec<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let from_begin = |part: &str| part.find(BEGIN).and_then(|at| part.get(at..)).map(|text| format!("{text}\n"));
    text.split_inclusive(END).filter(|part| part.ends_with(END)).filter_map(from_begin).collect()
}

fn seconds(count: u32) -> String {
    format!("{count}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_taken_apart() {
        let one = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let text = format!("subject=CN = x\n{one}\nissuer: y\n{one}trailing");
        assert_eq!(certificates(&text), [one, one]);
        assert!(certificates("nothing").is_empty());
    }
}
