//! What hosts send each other, measured for a moment: the flows of hosts are counted, and a rate is what two looks differ by.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use api::fabric::{Answer, Item, Question, Tunnels};
use model::fabric::ResourceName;

use crate::context::View;
use crate::pictures::Tunnel;

/// Between the two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Most hosts that are asked. Each answers in a thread of its own, so that those that are slow do not add up.
const MOST: usize = 32;

/// Bytes that went from one host to another.
type Sent = BTreeMap<(ResourceName, ResourceName), u64>;

/// The traffic between hosts that are connected; of those that do not answer, what the others say.
pub fn measure(view: &View<'_>, hosts: &[Item]) -> Vec<Tunnel> {
    let connected = hosts.iter().filter(|host| host.status.connected == Some(true));
    let names: Vec<&ResourceName> = connected.map(|host| &host.name).take(MOST).collect();
    if names.is_empty() {
        return Vec::new();
    }
    let begun = Instant::now();
    let first = sent(&ask(view, &names));
    std::thread::sleep(PAUSE);
    let elapsed = begun.elapsed();
    tunnels(&first, &sent(&ask(view, &names)), elapsed)
}

fn ask(view: &View<'_>, hosts: &[&ResourceName]) -> Vec<(ResourceName, Tunnels)> {
    let (api, caller) = (view.context.api, view.caller());
    std::thread::scope(|scope| {
        let one = |host: &ResourceName| {
            let question = Question::Tunnels { host: host.clone() };
            (host.clone(), scope.spawn(move || api.ask(caller, question).and_then(Answer::tunnels).ok()))
        };
        let asked: Vec<_> = hosts.iter().map(|host| one(host)).collect();
        asked.into_iter().filter_map(|(host, thread)| Some((host, thread.join().ok().flatten()?))).collect()
    })
}

/// What went from host to host, as either of them says; who sends knows better than who receives.
fn sent(said: &[(ResourceName, Tunnels)]) -> Sent {
    let mut sent = Sent::new();
    let each = || said.iter().flat_map(|(host, own)| own.tunnels.iter().map(move |tunnel| (host, tunnel)));
    for (host, tunnel) in each() {
        let Some(peer) = &tunnel.host else { continue };
        *sent.entry((peer.clone(), host.clone())).or_default() += tunnel.received_bytes;
    }
    let mut own = Sent::new();
    for (host, tunnel) in each() {
        let Some(peer) = &tunnel.host else { continue };
        *own.entry((host.clone(), peer.clone())).or_default() += tunnel.sent_bytes;
    }
    sent.extend(own);
    sent
}

/// Rates, one entry for each pair of hosts. What was counted of flows that have ended meanwhile is no rate below none.
fn tunnels(first: &Sent, second: &Sent, elapsed: Duration) -> Vec<Tunnel> {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let mut pairs = BTreeMap::<(&ResourceName, &ResourceName), (u64, u64)>::new();
    for ((from, to), bytes) in second {
        let before = first.get(&(from.clone(), to.clone())).copied().unwrap_or(*bytes);
        let rate = bytes.saturating_sub(before).saturating_mul(8000) / millis;
        if from <= to {
            pairs.entry((from, to)).or_default().0 = rate;
        } else {
            pairs.entry((to, from)).or_default().1 = rate;
        }
    }
    let tunnel = |((one, other), (there, back)): ((&ResourceName, &ResourceName), (u64, u64))| Tunnel {
        one: one.to_string(),
        other: other.to_string(),
        there,
        back,
    };
    pairs.into_iter().map(tunnel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(host: &str, peer: &str, sent_bytes: u64, received_bytes: u64) -> (ResourceName, Tunnels) {
        let remote = [192, 168, 4, 16].into();
        let host_of = peer.parse().ok();
        let tunnel = api::fabric::Tunnel {
            remote,
            host: host_of,
            flows: 1,
            sent_packets: 1,
            sent_bytes,
            received_packets: 1,
            received_bytes,
        };
        (host.parse().unwrap(), Tunnels { tunnels: vec![tunnel] })
    }

    #[test]
    fn two_looks_make_a_rate_in_either_direction() {
        let first = sent(&[said("b", "a", 1000, 70), said("a", "b", 500, 1000)]);
        let second = sent(&[said("b", "a", 2000, 71), said("a", "b", 400, 2000)]);
        let found = tunnels(&first, &second, Duration::from_millis(500));
        // What a sent has become less: a flow has ended.
        let wanted = Tunnel { one: "a".to_owned(), other: "b".to_owned(), there: 0, back: 16_000 };
        assert_eq!(found, [wanted]);
    }

    #[test]
    fn of_a_host_that_is_silent_its_peer_tells() {
        let first = sent(&[said("a", "b", 0, 1000)]);
        let second = sent(&[said("a", "b", 125, 1250)]);
        let found = tunnels(&first, &second, Duration::from_secs(1));
        assert_eq!((found[0].there, found[0].back), (1000, 2000));
    }
}
