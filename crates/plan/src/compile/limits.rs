//! Whether the tables fit into the kernel's maps.

use pipeline::policy::{MAX_ALL_RULES, MAX_MATCHES, MAX_POLICIES, MAX_SET_WORDS};
use pipeline::{MAX_MOVES, MAX_PEERS, MAX_PORTS, MAX_PROVIDERS, MAX_RECORDS, MAX_ROUTES, MAX_SUBNETS};

use crate::{Finding, HostTables};

/// A finding for each table that is too large.
///
/// [`pipeline::MAX_REPLICAS`] is not here: a subnet beyond it works but for its broadcasts, and so is a warning.
pub(crate) fn exceeded(tables: &HostTables) -> impl Iterator<Item = Finding> + use<> {
    // Slot 0 of the counters belongs to no port.
    let counts = [
        ("ports", tables.ports.len(), MAX_PORTS - 1),
        ("lookup records, those of gateways and link-local addresses included", tables.records.len(), MAX_RECORDS),
        ("MAC addresses", tables.stations.len(), MAX_RECORDS),
        ("VMs that move", tables.moves.len(), MAX_MOVES),
        ("addresses that travel unencapsulated", tables.plain.len(), MAX_RECORDS),
        ("VM subnets", tables.subnets.len(), MAX_SUBNETS),
        ("customer routes", tables.routes.len(), MAX_ROUTES),
        ("ways to other hosts", tables.peers.len(), MAX_PEERS),
        ("provider addresses", tables.providers.len(), MAX_PROVIDERS),
        ("policies, one for each choice of security groups", tables.policies.len(), MAX_POLICIES),
        ("rules of security groups", tables.rules.len(), MAX_ALL_RULES),
        ("prefixes in rules of security groups", tables.prefixes.len(), MAX_MATCHES),
        ("groups of VMs in rules of security groups", tables.members.len(), MAX_MATCHES),
        ("services in rules of security groups", tables.services.len(), MAX_MATCHES),
        ("words in sets of rules of security groups", tables.words.len(), MAX_SET_WORDS),
    ];
    let too_many = counts.into_iter().filter(|(_, count, limit)| *count as u64 > u64::from(*limit));
    too_many.map(|(what, count, limit)| Finding::Limit { what, count, limit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipeline::policy::{Matches, MemberKey, Policy, PrefixKey, Rule, RuleKey, ServiceKey, WordKey};
    use pipeline::{
        Address, Peer, PeerKey, Plain, Port, Provider, Record, RecordKey, Route, RouteKey, StationKey, Subnet,
    };

    fn address(number: u32) -> Address {
        Address::v4(number.to_be_bytes())
    }

    /// Tables with as many entries as allowed and so many more.
    fn full(more: u32) -> HostTables {
        let record = |vsid| (RecordKey { vsid, address: Address::default() }, Record::default());
        let route = |number| (RouteKey { prefix_len: 160, domain: [0; 4], address: address(number) }, Route::default());
        let prefix = |number| {
            let address = address(number);
            (PrefixKey { address, ..PrefixKey::default() }, Matches::default())
        };
        let service =
            |number: u32| (ServiceKey { side: number.to_be_bytes(), ..ServiceKey::default() }, Matches::default());
        HostTables {
            ports: (1..MAX_PORTS + more).map(|ifindex| (ifindex, Port::default())).collect(),
            records: (0..MAX_RECORDS + more).map(record).collect(),
            stations: (0..MAX_RECORDS + more)
                .map(|vsid| (StationKey { vsid, mac: [0; 6], reserved: 0 }, Record::default()))
                .collect(),
            plain: (0..MAX_RECORDS + more).map(|number| (address(number), Plain::default())).collect(),
            subnets: (0..MAX_SUBNETS + more).map(|vsid| (vsid, Subnet::default())).collect(),
            routes: (0..MAX_ROUTES + more).map(route).collect(),
            peers: (0..MAX_PEERS + more).map(|number| (PeerKey::first(address(number)), Peer::default())).collect(),
            providers: (0..MAX_PROVIDERS + more).map(|number| (address(number), Provider::default())).collect(),
            policies: (0..MAX_POLICIES + more).map(|number| (number, Policy::default())).collect(),
            rules: (0..MAX_ALL_RULES + more).map(|index| (RuleKey { side: 0, index }, Rule::default())).collect(),
            prefixes: (0..MAX_MATCHES + more).map(prefix).collect(),
            members: (0..MAX_MATCHES + more)
                .map(|groups| (MemberKey { side: 0, groups }, Matches::default()))
                .collect(),
            services: (0..MAX_MATCHES + more).map(service).collect(),
            words: (0..MAX_SET_WORDS + more).map(|word| (WordKey { set: 0, word }, 0)).collect(),
            ..HostTables::default()
        }
    }

    #[test]
    fn what_fits_passes_and_one_more_of_each_does_not() {
        assert_eq!(exceeded(&full(0)).count(), 0);
        let sentences: Vec<String> = exceeded(&full(1)).map(|finding| finding.to_string()).collect();
        assert_eq!(sentences.len(), 14, "{sentences:?}");
        assert_eq!(
            sentences[7],
            "the intent makes 65 provider addresses, and a host holds 64; spread its VMs over more hosts or VM networks"
        );
        for (sentence, what) in
            sentences[8..].iter().zip(["policies", "rules", "prefixes", "groups", "services", "words"])
        {
            assert!(sentence.starts_with("the intent makes ") && sentence.contains(what), "{sentence}");
        }
    }
}
