//! The host's tables with somebody who takes down each stage and each look-up.

use std::cell::RefCell;
use std::collections::BTreeMap;

use api::{TraceLookup, TraceStep};
use pipeline::flow::{Flow, FlowEntry, FlowKey, FragmentKey, Usage};
use pipeline::meter::{Limit, MeterKey, Size};
use pipeline::moves::Move;
use pipeline::policy::{Direction, Matches, MemberKey, Policy, PrefixKey, Rule, RuleKey, ServiceKey, WordKey};
use pipeline::stages::security::{self, Case};
use pipeline::{
    Address, Fragmented, Host, Learn, Peer, PeerKey, Plain, Port, Provider, Record, RecordKey, Replica, ReplicaKey,
    Route, RouteKey, Stage, StationKey, Subnet, Tables, Work,
};
use plan::HostTables;

use super::words::{self, Words};

/// Tables that answer as those of the host and remember what they were asked.
pub(super) struct Recorder<'t> {
    tables: &'t HostTables,
    /// Where VMs that move were heard.
    heard: &'t BTreeMap<StationKey, Address>,
    words: &'t Words<'t>,
    /// Interface index of the port that the frame comes from.
    from: u32,
    steps: RefCell<Vec<TraceStep>>,
}

impl<'t> Recorder<'t> {
    pub fn new(
        tables: &'t HostTables,
        heard: &'t BTreeMap<StationKey, Address>,
        words: &'t Words<'t>,
        from: u32,
    ) -> Self {
        Self { tables, heard, words, from, steps: RefCell::default() }
    }

    /// What was taken down.
    pub fn into_steps(self) -> Vec<TraceStep> {
        self.steps.into_inner()
    }

    /// The gateway's MAC address, without taking it down; all zero where the host is not configured.
    pub fn gateway_mac(&self) -> [u8; 6] {
        self.tables.host.unwrap_or_default().gateway_mac
    }

    /// Whether the port of a case is in security groups, without taking it down.
    fn filters(&self, case: &Case) -> bool {
        self.tables.ports.get(&case.ifindex).is_some_and(|port| port.policy != 0)
    }

    /// A port with this policy, without taking it down. All of them are in the same security groups.
    fn port_with(&self, policy: u32) -> Option<&Port> {
        self.tables.ports.values().find(|port| port.policy == policy)
    }

    /// Takes a look-up down in the stage that is on.
    fn note(&self, table: &str, key: String, found: Option<String>) {
        if let Some(step) = self.steps.borrow_mut().last_mut() {
            step.lookups.push(TraceLookup { table: table.to_owned(), key, found });
        }
    }
}

impl Tables for Recorder<'_> {
    fn host(&self) -> Option<&Host> {
        let found = self.tables.host();
        self.note("host", "this host".to_owned(), found.map(|host| self.words.host(host)));
        found
    }

    fn port(&self, ifindex: u32) -> Option<&Port> {
        let found = self.tables.port(ifindex);
        self.note("port", self.words.interface(ifindex), found.map(|port| self.words.port(port)));
        found
    }

    fn record(&self, key: &RecordKey) -> Option<&Record> {
        let found = self.tables.record(key);
        self.note("lookup record", Words::record_key(key), found.map(|record| self.words.record(record)));
        found
    }

    fn station(&self, key: &StationKey) -> Option<&Record> {
        let found = self.tables.station(key);
        self.note("station", Words::station_key(key), found.map(|record| self.words.record(record)));
        found
    }

    fn moves(&self, key: &StationKey) -> Option<&Move> {
        let found = self.tables.moves(key);
        self.note("move", Words::station_key(key), found.map(|to| self.words.other_place(to)));
        found
    }

    fn heard_at(&self, key: &StationKey) -> Option<&Address> {
        let found = self.heard.get(key);
        self.note("heard at", Words::station_key(key), found.map(ToString::to_string));
        found
    }

    /// A packet that is only thought of is not heard.
    fn hear(&self, _: &StationKey, _: &Address) {}

    fn subnet(&self, vsid: u32) -> Option<&Subnet> {
        let found = self.tables.subnet(vsid);
        self.note("VM subnet", vsid.to_string(), found.map(|subnet| self.words.subnet(subnet)));
        found
    }

    fn route(&self, key: &RouteKey) -> Option<&Route> {
        let found = self.tables.route_entry(key);
        self.note("customer route", self.words.route_key(key), found.map(|(key, route)| self.words.route(key, route)));
        found.map(|(_, route)| route)
    }

    fn peer(&self, key: &PeerKey) -> Option<&Peer> {
        let found = self.tables.peer(key);
        self.note("peer", Words::peer_key(key), found.map(|peer| self.words.peer(peer)));
        found
    }

    fn provider(&self, address: &Address) -> Option<&Provider> {
        let found = self.tables.provider(address);
        self.note("provider address", address.to_string(), found.map(|provider| self.words.provider(provider)));
        found
    }

    fn replica(&self, key: &ReplicaKey) -> Option<&Replica> {
        let found = self.tables.replica(key);
        let from = self.from;
        let sender = |replica: &Replica| if replica.ifindex == from { ", the sender, which gets none" } else { "" };
        let what = found.map(|replica| format!("{}{}", self.words.replica(replica), sender(replica)));
        self.note("replicas", Words::replica_key(key), what);
        found
    }

    fn plain(&self, address: &Address) -> Option<&Plain> {
        let found = self.tables.plain(address);
        self.note("unencapsulated address", address.to_string(), found.map(|plain| self.words.plain(plain)));
        found
    }

    fn policy(&self, number: u32) -> Option<&Policy> {
        let found = self.tables.policy(number);
        self.note("policy", self.words.policy_key(self.port_with(number)), found.map(Words::policy));
        found
    }

    fn prefix(&self, key: &PrefixKey) -> Option<&Matches> {
        self.tables.prefix(key)
    }

    fn member(&self, key: &MemberKey) -> Option<&Matches> {
        self.tables.member(key)
    }

    fn service(&self, key: &ServiceKey) -> Option<&Matches> {
        self.tables.service(key)
    }

    fn word(&self, key: &WordKey) -> Option<&u64> {
        self.tables.word(key)
    }

    fn rule(&self, key: &RuleKey) -> Option<&Rule> {
        let found = self.tables.rule(key);
        let port = self.port_with(key.side >> 1);
        self.note("rule", format!("{}", key.index + 1), found.map(|rule| self.words.rule(port, key, rule)));
        found
    }

    fn now(&self) -> u64 {
        self.tables.now()
    }

    fn epoch(&self, index: u32) -> u32 {
        self.tables.epoch(index)
    }

    fn flow(&self, key: &FlowKey) -> Option<&FlowEntry> {
        self.tables.flow(key)
    }

    fn create_flow(&self, key: &FlowKey, flow: &Flow) -> bool {
        self.tables.create_flow(key, flow)
    }
    fn write_flow(&self, key: &FlowKey, flow: &Flow) -> bool {
        self.tables.write_flow(key, flow)
    }

    fn usage(&self, slot: u32, opener: Direction) -> Usage {
        self.tables.usage(slot, opener)
    }

    fn count_flow(&self, slot: u32, opener: Direction, flows: i32, half_open: i32) {
        self.tables.count_flow(slot, opener, flows, half_open);
    }

    fn fragment(&self, key: &FragmentKey) -> Option<&Fragmented> {
        self.tables.fragment(key)
    }

    fn note_fragment(&self, key: &FragmentKey, fragmented: &Fragmented) {
        self.tables.note_fragment(key, fragmented);
    }

    /// Takes nothing from a limit: a trace passes where the limit does not bite.
    fn admit(&self, key: &MeterKey, limit: &Limit, size: Size) -> bool {
        self.tables.admit(key, limit, size)
    }

    /// Asks whether the host allows such frames at all; takes no token of the port's.
    fn admit_flood(&self, slot: u32) -> bool {
        let admitted = self.tables.admit_flood(slot);
        let rate = self
            .tables
            .host
            .filter(|_| admitted)
            .map(|host| format!("at most {} frames a second, {} at once", host.flood_rate, host.flood_burst));
        self.note("flood limit", format!("counter slot {slot}"), rate);
        admitted
    }

    /// Asks whether the host's agent takes such frames at all; takes no token of the port's.
    fn admit_punt(&self, slot: u32) -> bool {
        let admitted = self.tables.admit_punt(slot);
        let rate = self
            .tables
            .host
            .filter(|_| admitted)
            .map(|host| format!("at most {} messages a second, {} at once", host.punt_rate, host.punt_burst));
        self.note("limit towards the agent", format!("counter slot {slot}"), rate);
        admitted
    }

    fn learnt(&self, learn: &Learn) {
        let key = Words::record_key(&RecordKey { vsid: learn.vsid, address: learn.address });
        let found = format!("{} on {}", words::mac(learn.mac), self.words.interface(learn.ifindex));
        self.note("lookup record to be learnt", key, Some(found));
    }

    fn judge(&self, work: &mut Work, case: &Case) -> u32 {
        // Where nothing is filtered there is nothing to tell.
        if self.filters(case) { security::judge(self, work, case) } else { security::judge(self.tables, work, case) }
    }

    fn judge_group(&self, work: &mut Work, case: &Case) -> u32 {
        if self.filters(case) {
            security::judge_group(self, work, case)
        } else {
            security::judge_group(self.tables, work, case)
        }
    }

    fn enter(&self, stage: Stage) {
        // These tables know no flows: each packet is decided about as the first of its flow is.
        if stage == Stage::Known {
            return;
        }
        self.steps.borrow_mut().push(TraceStep {
            stage: stage.name().to_owned(),
            question: stage.question().to_owned(),
            lookups: Vec::new(),
        });
    }
}
