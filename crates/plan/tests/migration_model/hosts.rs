//! What hosts do with frames: the tables that `plan` compiles of what is declared, and the decisions of the real pipeline
//! over them. Each question is asked once and its answer kept, since a model asks the same few ones in millions of states.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, RwLock};

use etherparse::PacketBuilder;
use model::Intent;
use pipeline::flow::{Flow, FlowEntry, FlowKey, FragmentKey, Usage};
use pipeline::meter::{Limit, MeterKey, Size};
use pipeline::moves::{self, Move};
use pipeline::policy::{Direction, Matches, MemberKey, Policy, PrefixKey, Rule, RuleKey, ServiceKey, WordKey};
use pipeline::{
    Action, Address, Buffer, DropReason, Fragmented, Meta, Peer, PeerKey, Plain, Port, Provider, Record, RecordFlags,
    RecordKey, Replica, ReplicaKey, Route, RouteKey, StationKey, Subnet, Tables, Verdict, Work, apply,
};
use plan::{Facts, HostTables, Link, LinkKind, Settings, to_address};

/// A host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Host {
    /// The VM begins here, and so does a peer that speaks with it.
    A,
    /// The VM may go here.
    B,
    /// Another peer is here.
    C,
}

impl Host {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::A, Self::B, Self::C];

    /// The other place of the VM.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            _ => Self::A,
        }
    }

    const fn provider(self) -> &'static str {
        match self {
            Self::A => "192.168.4.11",
            Self::B => "192.168.4.22",
            Self::C => "192.168.4.33",
        }
    }

    fn address(self) -> Address {
        to_address(self.provider().parse().expect("an address"))
    }

    fn of(address: &Address) -> Option<Self> {
        Self::ALL.into_iter().find(|host| host.address() == *address)
    }
}

/// What is declared of the other place of the VM.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Other {
    /// There is none.
    Nothing,
    /// The VM will be there.
    To,
    /// The VM was there.
    From,
}

/// What the controller declares of the VM: its records name this host, and a migration the other one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Declared {
    /// The host that the records name.
    pub at: Host,
    /// What is said of the other one.
    pub other: Other,
}

/// Which declaration each of a host's tables is of. An agent writes one after the other, and may die between any two.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Written {
    /// `MOVES`.
    pub moves: Declared,
    /// `STATIONS`.
    pub stations: Declared,
    /// `RECORDS`.
    pub records: Declared,
    /// `PORTS` and all the rest.
    pub ports: Declared,
}

impl Written {
    /// All tables of one declaration.
    pub const fn all(declared: Declared) -> Self {
        Self { moves: declared, stations: declared, records: declared, ports: declared }
    }
}

/// Tables as they are in the kernel, and what is noted there of the VM.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Kernel {
    /// The tables.
    pub written: Written,
    /// Where the VM was heard.
    pub heard: Option<Host>,
}

/// Who speaks, to whom.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Speaker {
    /// The peer on this host (A or C) to the VM.
    Peer(Host),
    /// The VM on the first host to the peer on the second one.
    Vm(Host, Host),
}

impl Speaker {
    /// The host that the frame comes from.
    pub const fn host(self) -> Host {
        let (Self::Peer(host) | Self::Vm(host, _)) = self;
        host
    }
}

/// The number of a frame as it is on the underlay, with all its bytes.
pub type FrameNumber = u16;

/// What becomes of a frame on one host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It reaches the VM's port.
    Vm,
    /// It reaches the port of the host's peer.
    Peer,
    /// It goes to another host; `again` if it came from one.
    Away {
        /// Which one.
        to: Host,
        /// As what.
        frame: FrameNumber,
        /// Whether it was sent on.
        again: bool,
    },
    /// It is dropped.
    Dropped(DropReason),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Input {
    Port(Speaker),
    Uplink(FrameNumber),
}

const VSID: u32 = 5001;
const VM_MAC: [u8; 6] = [6, 6, 0, 0, 0, 7];
const VM_ADDRESS: [u8; 4] = [10, 0, 0, 7];
const UPLINK: u32 = 2;
const PEER_PORT: u32 = 10;
const VM_PORT: u32 = 11;

const fn peer_mac(host: Host) -> [u8; 6] {
    [6, 6, 0, 0, 1, host as u8]
}

const fn peer_address(host: Host) -> [u8; 4] {
    [10, 0, 1, host as u8 + 1]
}

/// The resources of a host under a declaration, as a person would write them. The VM's port is declared at each place that
/// the declaration names.
fn resources(host: Host, declared: Declared) -> String {
    let own = host.provider();
    let mut yaml = format!(
        "{{kind: provider-address, spec: {{address: {own}, interface: eth0, prefixLength: 24}}}}\n---\n\
         {{kind: customer-route, spec: {{rdid: \"{{11111111-2222-3333-4444-000000005001}}\", vsid: {VSID}, \
         prefix: 10.0.0.0/16, nextHop: 0.0.0.0}}}}\n"
    );
    let mut record = |last: u8, address: &str, at: Host| {
        let (mac, provider) = (format!("06-06-00-00-{:02X}-{last:02X}", u8::from(last != 7)), at.provider());
        yaml += &format!(
            "---\n{{kind: lookup-record, spec: {{vsid: {VSID}, customerAddress: {address}, mac: {mac}, \
             providerAddress: {provider}}}}}\n"
        );
    };
    record(7, "10.0.0.7", declared.at);
    record(0, "10.0.1.1", Host::A);
    record(2, "10.0.1.3", Host::C);
    let direction = match declared.other {
        Other::Nothing => None,
        Other::To => Some("to"),
        Other::From => Some("from"),
    };
    let mac = "06-06-00-00-00-07";
    if let Some(direction) = direction {
        let other = declared.at.other().provider();
        yaml += &format!("---\n{{kind: migration, spec: {{vsid: {VSID}, mac: {mac}, {direction}: {other}}}}}\n");
    }
    if host == declared.at || host == declared.at.other() && direction.is_some() {
        yaml += &format!("---\n{{kind: port, name: vm, spec: {{device: vm, mac: {mac}, vsid: {VSID}}}}}\n");
    }
    if host != Host::B {
        let mac = format!("06-06-00-00-01-{:02X}", host as u8);
        yaml += &format!("---\n{{kind: port, name: peer, spec: {{device: peer, mac: {mac}, vsid: {VSID}}}}}\n");
    }
    yaml
}

/// The devices of a host. The VM's is always there, so that nothing is saved by a device that has gone in time.
fn facts(host: Host) -> Facts {
    let addresses = vec![format!("{}/24", host.provider()).parse().expect("a prefix")];
    let uplink = Link { ifindex: UPLINK, mtu: 1600, up: true, kind: LinkKind::Other, mac: None, addresses };
    let tap = |ifindex| Link { ifindex, mtu: 1500, up: true, kind: LinkKind::Tap, mac: None, addresses: vec![] };
    let links = [("eth0", uplink), ("peer", tap(PEER_PORT)), ("vm", tap(VM_PORT))];
    let links = links.into_iter().map(|(name, link)| (name.parse().expect("a name"), link)).collect();
    Facts { links, slots: BTreeMap::new() }
}

fn compiled(host: Host, declared: Declared) -> HostTables {
    let resources = model::resources_from_yaml(&resources(host, declared)).expect("resources");
    let intent = Intent::new(resources).expect("resources that do not contradict each other");
    let compiled = plan::compile(&intent, &facts(host), &Settings::default());
    assert_eq!(compiled.refusals().count(), 0, "{host:?} {declared:?}: {:?}", compiled.findings);
    compiled.tables
}

/// What a host was asked, and what came of it: the frame's fate, and where the VM is noted to have been heard.
type Fates = HashMap<(Host, Kernel, Input), (Fate, Option<Host>)>;

/// All hosts, and what they were asked already.
#[derive(Default)]
pub struct Hosts {
    tables: RwLock<HashMap<(Host, Written), &'static HostTables>>,
    frames: Mutex<Vec<Vec<u8>>>,
    fates: RwLock<Fates>,
    views: RwLock<HashMap<(Host, Kernel), Option<Host>>>,
}

impl Hosts {
    /// What becomes of a frame that somebody sends; notes that the VM was heard.
    pub fn sends(&self, kernel: &mut Kernel, speaker: Speaker) -> Fate {
        self.asked(speaker.host(), kernel, Input::Port(speaker))
    }

    /// What becomes of a frame that comes from the underlay, likewise.
    pub fn receives(&self, host: Host, kernel: &mut Kernel, frame: FrameNumber) -> Fate {
        self.asked(host, kernel, Input::Uplink(frame))
    }

    /// Where a host takes the VM to be, as [`moves::now`] says.
    pub fn view(&self, host: Host, kernel: &Kernel) -> Option<Host> {
        let key = (host, *kernel);
        if let Some(view) = self.views.read().expect("no panic").get(&key) {
            return *view;
        }
        let tables = Noted { tables: self.tables(host, kernel.written), heard: Cell::new(kernel.heard) };
        let address = to_address(VM_ADDRESS.into());
        let record = tables.record(&RecordKey { vsid: VSID, address }).expect("everybody knows the VM");
        let now = moves::now(&tables, VSID, record);
        let view = if now.flags.has(RecordFlags::LOCAL) { Some(host) } else { Host::of(&now.provider) };
        self.views.write().expect("no panic").insert(key, view);
        view
    }

    fn asked(&self, host: Host, kernel: &mut Kernel, input: Input) -> Fate {
        let key = (host, *kernel, input);
        let known = self.fates.read().expect("no panic").get(&key).copied();
        let (fate, heard) = known.unwrap_or_else(|| {
            let decided = self.decide(host, kernel, input);
            self.fates.write().expect("no panic").insert(key, decided);
            decided
        });
        kernel.heard = heard;
        fate
    }

    /// The tables, each of its own declaration. They are never freed: there are few, and verdicts borrow them.
    fn tables(&self, host: Host, written: Written) -> &'static HostTables {
        if let Some(tables) = self.tables.read().expect("no panic").get(&(host, written)) {
            return tables;
        }
        let mut tables = compiled(host, written.ports);
        tables.moves = compiled(host, written.moves).moves;
        tables.stations = compiled(host, written.stations).stations;
        tables.records = compiled(host, written.records).records;
        let tables: &'static HostTables = Box::leak(Box::new(tables));
        self.tables.write().expect("no panic").insert((host, written), tables);
        tables
    }

    /// Runs the pipeline on a frame, and carries out what it says.
    fn decide(&self, host: Host, kernel: &Kernel, input: Input) -> (Fate, Option<Host>) {
        let tables = Noted { tables: self.tables(host, kernel.written), heard: Cell::new(kernel.heard) };
        let (ifindex, frame) = match input {
            Input::Port(speaker) => spoken(speaker),
            Input::Uplink(number) => (UPLINK, self.frames.lock().expect("no panic")[usize::from(number)].clone()),
        };
        let mut room = vec![0; frame.len() + 256];
        room[..frame.len()].copy_from_slice(&frame);
        let mut buffer = Buffer::new(&mut room, frame.len());
        let meta = Meta { ifindex, len: frame.len() as u32, ..Meta::default() };
        let (mut work, mut verdict) = (Work::default(), Verdict::default());
        match input {
            Input::Port(_) => pipeline::from_port(&buffer, &tables, &meta, &mut work, &mut verdict),
            Input::Uplink(_) => pipeline::from_uplink(&buffer, &tables, &meta, &mut work, &mut verdict),
        }
        let edit = &work.edit;
        let fate = match verdict.action() {
            Action::Drop(reason) => Fate::Dropped(reason),
            Action::Deliver { ifindex: VM_PORT, .. } => Fate::Vm,
            Action::Deliver { ifindex: PEER_PORT, .. } => Fate::Peer,
            Action::Encapsulate { tunnel } => {
                apply::edit(&mut buffer, edit).expect("room");
                apply::encapsulate(&mut buffer, &tunnel, edit, meta.len).expect("room");
                self.away(tunnel.remote, buffer.as_slice(), false)
            }
            Action::Onward { peer, remote } => {
                apply::onward(&mut buffer, peer, remote, edit).expect("room");
                self.away(remote, buffer.as_slice(), true)
            }
            _ => panic!("{host:?} {kernel:?} {input:?}: nobody asked for this"),
        };
        (fate, tables.heard.get())
    }

    fn away(&self, remote: &Address, bytes: &[u8], again: bool) -> Fate {
        let to = Host::of(remote).expect("one of the hosts");
        let mut frames = self.frames.lock().expect("no panic");
        let known = frames.iter().position(|frame| frame == bytes);
        let number = known.unwrap_or_else(|| {
            frames.push(bytes.to_vec());
            frames.len() - 1
        });
        Fate::Away { to, frame: number as FrameNumber, again }
    }
}

/// What somebody says, and the interface index of the device that it comes in by.
fn spoken(speaker: Speaker) -> (u32, Vec<u8>) {
    let (from, source, to, destination, ifindex) = match speaker {
        Speaker::Peer(host) => (peer_mac(host), peer_address(host), VM_MAC, VM_ADDRESS, PEER_PORT),
        Speaker::Vm(_, peer) => (VM_MAC, VM_ADDRESS, peer_mac(peer), peer_address(peer), VM_PORT),
    };
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(from, to).ipv4(source, destination, 64).udp(1000, 2000);
    packet.write(&mut frame, b"netvirt").expect("a datagram");
    (ifindex, frame)
}

/// Compiled tables, and the note that packets write.
struct Noted {
    tables: &'static HostTables,
    heard: Cell<Option<Host>>,
}

/// Hands questions on to the compiled tables.
macro_rules! ask {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {
        $(fn $name(&self, $($argument: $kind),*) -> $answer { self.tables.$name($($argument),*) })*
    };
}

impl Tables for Noted {
    fn heard_at(&self, _key: &StationKey) -> Option<&Address> {
        // The addresses of the two places, which live as long as the program.
        static PLACES: std::sync::OnceLock<[Address; 3]> = std::sync::OnceLock::new();
        let places = PLACES.get_or_init(|| Host::ALL.map(Host::address));
        self.heard.get().map(|host| &places[host as usize])
    }
    fn hear(&self, _key: &StationKey, provider: &Address) {
        self.heard.set(Host::of(provider));
    }
    ask! {
        host() -> Option<&pipeline::Host>;
        port(ifindex: u32) -> Option<&Port>;
        record(key: &RecordKey) -> Option<&Record>;
        station(key: &StationKey) -> Option<&Record>;
        moves(key: &StationKey) -> Option<&Move>;
        subnet(vsid: u32) -> Option<&Subnet>;
        route(key: &RouteKey) -> Option<&Route>;
        peer(key: &PeerKey) -> Option<&Peer>;
        provider(address: &Address) -> Option<&Provider>;
        replica(key: &ReplicaKey) -> Option<&Replica>;
        plain(address: &Address) -> Option<&Plain>;
        policy(number: u32) -> Option<&Policy>;
        prefix(key: &PrefixKey) -> Option<&Matches>;
        member(key: &MemberKey) -> Option<&Matches>;
        service(key: &ServiceKey) -> Option<&Matches>;
        word(key: &WordKey) -> Option<&u64>;
        rule(key: &RuleKey) -> Option<&Rule>;
        now() -> u64;
        epoch(index: u32) -> u32;
        flow(key: &FlowKey) -> Option<&FlowEntry>;
        create_flow(key: &FlowKey, flow: &Flow) -> bool;
        write_flow(key: &FlowKey, flow: &Flow) -> bool;
        usage(slot: u32, opener: Direction) -> Usage;
        count_flow(slot: u32, opener: Direction, flows: i32, half_open: i32) -> ();
        fragment(key: &FragmentKey) -> Option<&Fragmented>;
        note_fragment(key: &FragmentKey, fragmented: &Fragmented) -> ();
        admit(key: &MeterKey, limit: &Limit, size: Size) -> bool;
        admit_flood(slot: u32) -> bool;
        admit_punt(slot: u32) -> bool;
    }
}
