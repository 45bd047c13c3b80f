//! What DHCP last said to each port. For people alone: nothing is decided by it, and it ends with the agent.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

use api::{LeaseState, LeaseStatus};
use dhcp::Event;
use model::{MacAddress, Name, PhysicalNetwork, Port, Vsid};

/// What makes a port the same port: its MAC address and its network.
type Identity = (MacAddress, Option<Vsid>, Option<PhysicalNetwork>);

/// What happened last at each port, in each family. As many as ports have ever asked and are still declared.
#[derive(Default)]
pub struct Leases(BTreeMap<Name, Entry>);

struct Entry {
    identity: Identity,
    /// IPv4 and IPv6.
    leases: [Option<Lease>; 2],
    /// Whether the last message got no address because none is declared.
    without_address: bool,
}

struct Lease {
    address: IpAddr,
    since: SystemTime,
    state: LeaseState,
}

impl Leases {
    /// Notes what happened; whether it is something new.
    pub fn note(&mut self, port: &Port, event: &Event) -> bool {
        let (address, state) = match *event {
            Event::Offered(address) => (address, LeaseState::Offered),
            Event::Bound(address) => (address, LeaseState::Bound),
            Event::Refused(Some(address)) => (address, LeaseState::Refused),
            Event::Released(address) => (address, LeaseState::Released),
            Event::Declined(address) => (address, LeaseState::Declined),
            Event::NoAddress => {
                let entry = self.entry(port);
                return !std::mem::replace(&mut entry.without_address, true);
            }
            Event::Refused(None) | Event::Informed | Event::RouterAdvertised => return false,
        };
        let entry = self.entry(port);
        entry.without_address = false;
        let lease = &mut entry.leases[usize::from(address.is_ipv6())];
        let new = !lease.as_ref().is_some_and(|old| (old.address, old.state) == (address, state));
        // A renewal is no news, but the lease counts from it.
        *lease = Some(Lease { address, since: SystemTime::now(), state });
        new
    }

    fn entry(&mut self, port: &Port) -> &mut Entry {
        let identity = identity(port);
        let fresh = || Entry { identity: identity.clone(), leases: [None, None], without_address: false };
        let entry = self.0.entry(port.name.clone()).or_insert_with(fresh);
        if entry.identity != identity {
            *entry = fresh();
        }
        entry
    }

    /// What happened last at a port.
    pub fn of(&self, port: &Port) -> Vec<LeaseStatus> {
        let entry = self.0.get(&port.name).filter(|entry| entry.identity == identity(port));
        let leases = entry.into_iter().flat_map(|entry| entry.leases.iter().flatten());
        let statuses = leases.map(|lease| LeaseStatus {
            address: lease.address,
            since: humantime::format_rfc3339_seconds(lease.since).to_string(),
            state: lease.state,
        });
        statuses.collect()
    }

    /// What goes with a port's VM to another host.
    pub fn handed_over(&self, port: &Port) -> Vec<proto::Lease> {
        let entry = self.0.get(&port.name).filter(|entry| entry.identity == identity(port));
        let leases = entry.into_iter().flat_map(|entry| entry.leases.iter().flatten());
        let handed_over = leases.map(|lease| proto::Lease {
            address: lease.address,
            state: lease.state,
            age: lease.since.elapsed().unwrap_or_default(),
        });
        handed_over.collect()
    }

    /// Takes in what came with a port's VM from another host, as far as nothing is known here that is later.
    pub fn take_over(&mut self, port: &Port, leases: &[proto::Lease]) {
        let entry = self.entry(port);
        for came in leases {
            let since = SystemTime::now().checked_sub(came.age).unwrap_or(SystemTime::UNIX_EPOCH);
            let known = &mut entry.leases[usize::from(came.address.is_ipv6())];
            if known.as_ref().is_none_or(|known| known.since < since) {
                *known = Some(Lease { address: came.address, since, state: came.state });
            }
        }
    }

    /// Forgets ports that are no longer declared.
    pub fn keep(&mut self, is_declared: impl Fn(&Name) -> bool) {
        self.0.retain(|name, _| is_declared(name));
    }
}

fn identity(port: &Port) -> Identity {
    (port.mac, port.vsid, port.physical.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(vsid: u32) -> Port {
        let mac = "06-06-00-00-00-05".parse().unwrap();
        Port::new("a".parse().unwrap(), "a".parse().unwrap(), mac, Some(Vsid::new(vsid).unwrap()))
    }

    fn states(leases: &Leases, port: &Port) -> Vec<(String, LeaseState)> {
        leases.of(port).into_iter().map(|lease| (lease.address.to_string(), lease.state)).collect()
    }

    #[test]
    fn the_last_event_of_each_family_is_kept_and_repetition_is_no_news() {
        let (v4, v6) = ("10.0.0.5".parse().unwrap(), "fd00::5".parse().unwrap());
        let port = port(5001);
        let mut leases = Leases::default();
        assert!(leases.note(&port, &Event::Offered(v4)));
        assert!(leases.note(&port, &Event::Bound(v4)));
        assert!(!leases.note(&port, &Event::Bound(v4)));
        assert!(!leases.note(&port, &Event::Informed));
        assert!(leases.note(&port, &Event::Declined(v6)));
        let expected = [("10.0.0.5".to_owned(), LeaseState::Bound), ("fd00::5".to_owned(), LeaseState::Declined)];
        assert_eq!(states(&leases, &port), expected);
    }

    #[test]
    fn leases_go_with_a_vm_and_the_later_word_counts() {
        let v4 = "10.0.0.5".parse().unwrap();
        let port = port(5001);
        let (mut here, mut there) = (Leases::default(), Leases::default());
        here.note(&port, &Event::Bound(v4));
        let handed_over = here.handed_over(&port);
        there.take_over(&port, &handed_over);
        assert_eq!(states(&there, &port), [("10.0.0.5".to_owned(), LeaseState::Bound)]);
        // Renewed or given back here meanwhile.
        there.note(&port, &Event::Released(v4));
        let earlier = proto::Lease { age: std::time::Duration::from_secs(60), ..handed_over[0] };
        there.take_over(&port, &[earlier]);
        assert_eq!(states(&there, &port), [("10.0.0.5".to_owned(), LeaseState::Released)]);
    }

    #[test]
    fn a_port_that_moved_to_another_subnet_has_no_lease_yet() {
        let mut leases = Leases::default();
        leases.note(&port(5001), &Event::Bound("10.0.0.5".parse().unwrap()));
        assert_eq!(states(&leases, &port(5002)), []);
        assert!(leases.note(&port(5002), &Event::NoAddress));
        assert!(!leases.note(&port(5002), &Event::NoAddress));
        assert_eq!(states(&leases, &port(5001)), []);
        leases.keep(|_| false);
        assert!(leases.0.is_empty());
    }
}
