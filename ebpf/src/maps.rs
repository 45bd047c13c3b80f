//! The maps, and [`Tables`] over them. All are pinned by name, so that they outlive the agent.

use core::arch::asm;
use core::ffi::c_void;
use core::ptr::addr_of_mut;

use crate::global;
use aya_ebpf::bindings::{__sk_buff, BPF_F_NO_PREALLOC, BPF_NOEXIST};
use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::helpers::generated::{bpf_ktime_get_coarse_ns, bpf_loop, bpf_skb_load_bytes};
use aya_ebpf::macros::map;
use aya_ebpf::maps::lpm_trie::Key;
use aya_ebpf::maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf};
use pipeline::flow::{Flow, FlowEntry, FlowKey, FragmentKey, MAX_EPOCHS, MAX_FLOWS, MAX_FRAGMENTED, Usage};
use pipeline::meter::{self, Bucket, Limit, MAX_METERS, Meter, MeterKey, Size, Step};
use pipeline::moves::Move;
use pipeline::policy::{
    Direction, Logged, MAX_ALL_RULES, MAX_MATCHES, MAX_POLICIES, MAX_SET_WORDS, Matches, MemberKey, Policy, PrefixKey,
    Rule, RuleKey, ServiceKey, WordKey,
};
use pipeline::stages::security::Case;
use pipeline::travel::{self, Traveller};
use pipeline::{
    Address, Counters, Fragmented, Host, MAX_MOVES, MAX_PEERS, MAX_PORTS, MAX_PROVIDERS, MAX_PUNT, MAX_RECORDS,
    MAX_ROUTES, MAX_SUBNETS, Peer, PeerKey, Plain, Port, Provider, Punted, Record, RecordKey, Replica, ReplicaKey,
    Route, RouteKey, StationKey, Subnet, Tables, Turn, Work,
};

/// How long the host's agent may stay away before the programs themselves forget flows that are over, in nanoseconds.
const FORGET_AFTER: u64 = 10_000_000_000;
/// Bytes of the ring that carries events to the agent; what finds it full is lost and will come again.
const EVENT_BYTES: u32 = 1 << 16;
/// Bytes of the ring that carries what rules want to be logged: room for some 1,800 packets. What finds it full is lost.
const LOG_BYTES: u32 = 1 << 17;
/// Bytes of the ring that carries frames to the agent: room for 170 of them. What finds it full is dropped.
const PUNT_BYTES: u32 = 1 << 18;

#[map]
static HOST: Array<Host> = Array::pinned(1, 0);
#[map]
static PORTS: HashMap<u32, Port> = HashMap::pinned(MAX_PORTS, BPF_F_NO_PREALLOC);
#[map]
static RECORDS: HashMap<RecordKey, Record> = HashMap::pinned(MAX_RECORDS, BPF_F_NO_PREALLOC);
#[map]
static STATIONS: HashMap<StationKey, Record> = HashMap::pinned(MAX_RECORDS, BPF_F_NO_PREALLOC);
#[map]
static MOVES: HashMap<StationKey, Move> = HashMap::pinned(MAX_MOVES, BPF_F_NO_PREALLOC);
/// Where the VMs of `MOVES` were heard.
#[map]
static HEARD: HashMap<StationKey, Address> = HashMap::pinned(MAX_MOVES, BPF_F_NO_PREALLOC);
/// How many frames were sent on to them.
#[map]
static SENT_ON: HashMap<StationKey, u64> = HashMap::pinned(MAX_MOVES, BPF_F_NO_PREALLOC);
/// Flows that come with VMs, on their way into `FLOWS`.
#[map]
static TRAVELLERS: Array<Traveller> = Array::pinned(travel::MAX_TOGETHER, 0);
#[map]
static SUBNETS: HashMap<u32, Subnet> = HashMap::pinned(MAX_SUBNETS, BPF_F_NO_PREALLOC);
#[map]
static ROUTES: LpmTrie<[u8; 20], Route> = LpmTrie::pinned(MAX_ROUTES, 0);
#[map]
static PEERS: HashMap<PeerKey, Peer> = HashMap::pinned(MAX_PEERS, BPF_F_NO_PREALLOC);
#[map]
static PROVIDERS: HashMap<Address, Provider> = HashMap::pinned(MAX_PROVIDERS, BPF_F_NO_PREALLOC);
#[map]
static REPLICAS: HashMap<ReplicaKey, Replica> = HashMap::pinned(MAX_RECORDS, BPF_F_NO_PREALLOC);
#[map]
static PLAIN: HashMap<Address, Plain> = HashMap::pinned(MAX_RECORDS, BPF_F_NO_PREALLOC);
#[map]
static POLICIES: HashMap<u32, Policy> = HashMap::pinned(MAX_POLICIES, BPF_F_NO_PREALLOC);
#[map]
static PREFIXES: LpmTrie<[u8; 20], Matches> = LpmTrie::pinned(MAX_MATCHES, 0);
#[map]
static MEMBERS: HashMap<MemberKey, Matches> = HashMap::pinned(MAX_MATCHES, BPF_F_NO_PREALLOC);
#[map]
static SERVICES: LpmTrie<[u8; 8], Matches> = LpmTrie::pinned(MAX_MATCHES, 0);
#[map]
static WORDS: HashMap<WordKey, u64> = HashMap::pinned(MAX_SET_WORDS, BPF_F_NO_PREALLOC);
#[map]
static RULES: HashMap<RuleKey, Rule> = HashMap::pinned(MAX_ALL_RULES, BPF_F_NO_PREALLOC);
#[map]
pub static FLOWS: HashMap<FlowKey, Flow> = HashMap::pinned(MAX_FLOWS, BPF_F_NO_PREALLOC);
/// How many flows the ports have, by slot and direction.
#[map]
static USAGE: Array<Usage> = Array::pinned(2 * MAX_PORTS, 0);
/// When flows that are over were forgotten last.
#[map]
static SWEPT: Array<u64> = Array::pinned(1, 0);
#[map]
static EPOCHS: Array<u32> = Array::pinned(MAX_EPOCHS, 0);
#[map]
static FRAGMENTS: LruHashMap<FragmentKey, Fragmented> = LruHashMap::pinned(MAX_FRAGMENTED, 0);
#[map]
static LOGS: RingBuf = RingBuf::pinned(LOG_BYTES, 0);
#[map]
static FLOOD_BUCKETS: Array<Bucket> = Array::pinned(MAX_PORTS, 0);
#[map]
static METERS: LruHashMap<MeterKey, Meter> = LruHashMap::pinned(MAX_METERS, 0);
#[map]
static PUNT_BUCKETS: Array<Bucket> = Array::pinned(MAX_PORTS, 0);
#[map]
static COUNTERS: PerCpuArray<Counters> = PerCpuArray::pinned(MAX_PORTS, 0);
#[map]
static WORK: PerCpuArray<Work> = PerCpuArray::with_max_entries(1, 0);
#[map]
static EVENTS: RingBuf = RingBuf::pinned(EVENT_BYTES, 0);
#[map]
static PUNTS: RingBuf = RingBuf::pinned(PUNT_BYTES, 0);

/// The maps of this host.
pub struct Maps;

/// The one instance, so that what is looked up lives as long as the program runs.
pub static MAPS: Maps = Maps;

/// Looks up a hash map without copying the key.
macro_rules! get {
    ($map:ident, $key:expr) => {
        // SAFETY: the agent replaces whole entries, and the memory of one that is deleted or replaced meanwhile stays memory
        // of the map until the program ends (RCU). It may be another entry's by then (`bpf_mem_cache_free` in the kernel's
        // hashtab.c, since Linux 6.1): a packet that is under way while the tables change may be decided about by a mixture.
        unsafe { $map.get($key) }
    };
}

impl Tables for Maps {
    #[inline(always)]
    fn host(&self) -> Option<&Host> {
        // An array's entry always exists; before the agent has written it, it is all zero, which is no gateway's MAC
        // address. One byte of it would not do: the first of some is zero.
        HOST.get(0).filter(|host| host.gateway_mac != [0; 6])
    }
    #[inline(always)]
    fn port(&self, ifindex: u32) -> Option<&Port> {
        get!(PORTS, ifindex)
    }
    #[inline(always)]
    fn record(&self, key: &RecordKey) -> Option<&Record> {
        get!(RECORDS, key)
    }
    #[inline(always)]
    fn station(&self, key: &StationKey) -> Option<&Record> {
        get!(STATIONS, key)
    }
    #[inline(always)]
    fn moves(&self, key: &StationKey) -> Option<&Move> {
        get!(MOVES, key)
    }
    #[inline(always)]
    fn heard_at(&self, key: &StationKey) -> Option<&Address> {
        get!(HEARD, key)
    }
    #[inline(always)]
    fn hear(&self, key: &StationKey, provider: &Address) {
        // As many as there may be in `MOVES`, so that there is room.
        let _ = HEARD.insert(key, provider, 0);
    }
    #[inline(always)]
    fn sent_on(&self, key: &StationKey) {
        let [a, b, c, d, e, f] = key.mac;
        global::netvirt_sent_on(key.vsid.into(), u64::from_ne_bytes([a, b, c, d, e, f, 0, 0]));
    }
    #[inline(always)]
    fn subnet(&self, vsid: u32) -> Option<&Subnet> {
        get!(SUBNETS, vsid)
    }
    #[inline(always)]
    fn route(&self, key: &RouteKey) -> Option<&Route> {
        // SAFETY: RouteKey is prefix length and 20 bytes of data, which is what a trie's key is.
        let key = unsafe { &*core::ptr::from_ref(key).cast::<Key<[u8; 20]>>() };
        ROUTES.get(key)
    }
    #[inline(always)]
    fn peer(&self, key: &PeerKey) -> Option<&Peer> {
        get!(PEERS, key)
    }
    #[inline(always)]
    fn provider(&self, address: &Address) -> Option<&Provider> {
        get!(PROVIDERS, address)
    }
    #[inline(always)]
    fn replica(&self, key: &ReplicaKey) -> Option<&Replica> {
        get!(REPLICAS, key)
    }
    #[inline(always)]
    fn plain(&self, address: &Address) -> Option<&Plain> {
        get!(PLAIN, address)
    }
    #[inline(always)]
    fn policy(&self, number: u32) -> Option<&Policy> {
        get!(POLICIES, number)
    }
    #[inline(always)]
    fn prefix(&self, key: &PrefixKey) -> Option<&Matches> {
        // SAFETY: PrefixKey is prefix length and 20 bytes of data, which is what a trie's key is.
        let key = unsafe { &*core::ptr::from_ref(key).cast::<Key<[u8; 20]>>() };
        PREFIXES.get(key)
    }
    #[inline(always)]
    fn member(&self, key: &MemberKey) -> Option<&Matches> {
        get!(MEMBERS, key)
    }
    #[inline(always)]
    fn service(&self, key: &ServiceKey) -> Option<&Matches> {
        // SAFETY: ServiceKey is prefix length and 8 bytes of data, which is what a trie's key is.
        let key = unsafe { &*core::ptr::from_ref(key).cast::<Key<[u8; 8]>>() };
        SERVICES.get(key)
    }
    #[inline(always)]
    fn word(&self, key: &WordKey) -> Option<&u64> {
        get!(WORDS, key)
    }
    #[inline(always)]
    fn rule(&self, key: &RuleKey) -> Option<&Rule> {
        get!(RULES, key)
    }
    #[inline(always)]
    fn now(&self) -> u64 {
        // SAFETY: a helper without parameters.
        unsafe { bpf_ktime_get_coarse_ns() }
    }
    #[inline(always)]
    fn epoch(&self, index: u32) -> u32 {
        match EPOCHS.get_ptr(index) {
            // SAFETY: the pointer is into the map. The agent may write meanwhile, so the value is read as a whole, once.
            Some(epoch) => unsafe { epoch.read_volatile() },
            None => 0,
        }
    }
    #[inline(always)]
    fn flow(&self, key: &FlowKey) -> Option<&FlowEntry> {
        let flow = FLOWS.get_ptr(key)?;
        // SAFETY: as in `get!`, and Cell<u64> is laid out as u64. What is in cells is changed in place, by several CPUs
        // perhaps: a count may be lost, and nothing else.
        Some(unsafe { &*flow.cast::<FlowEntry>() })
    }
    #[inline(always)]
    fn create_flow(&self, key: &FlowKey, flow: &Flow) -> bool {
        FLOWS.insert(key, flow, BPF_NOEXIST.into()).is_ok()
    }
    #[inline(always)]
    fn write_flow(&self, key: &FlowKey, flow: &Flow) -> bool {
        FLOWS.insert(key, flow, 0).is_ok()
    }
    #[inline(always)]
    fn usage(&self, slot: u32, opener: Direction) -> Usage {
        match USAGE.get(slot * 2 + opener as u32) {
            Some(usage) => *usage,
            None => Usage::default(),
        }
    }
    #[inline(always)]
    fn count_flow(&self, slot: u32, opener: Direction, flows: i32, half_open: i32) {
        let Some(usage) = USAGE.get_ptr_mut(slot * 2 + opener as u32) else { return };
        // SAFETY: the pointer is into the map, and the fields are counted on by all CPUs at once.
        unsafe {
            add(addr_of_mut!((*usage).flows), i64::from(flows));
            add(addr_of_mut!((*usage).half_open), i64::from(half_open));
        }
    }
    #[inline(always)]
    fn fragment(&self, key: &FragmentKey) -> Option<&Fragmented> {
        get!(FRAGMENTS, key)
    }
    #[inline(always)]
    fn note_fragment(&self, key: &FragmentKey, fragmented: &Fragmented) {
        let _ = FRAGMENTS.insert(key, fragmented, 0);
    }
    /// Tells the agent; lost when the ring is full.
    #[inline(always)]
    fn log(&self, logged: &Logged) {
        let _ = LOGS.output::<Logged>(logged, 0);
    }
    #[inline(always)]
    fn judge(&self, work: &mut Work, case: &Case) -> u32 {
        known_elsewhere(work);
        global::netvirt_judge(case.ifindex.into(), case.remote_vsid.into(), how(case), case.len.into()) as u32
    }
    #[inline(always)]
    fn pay(&self, from: u32, to: u32, size: Size) -> bool {
        global::netvirt_pay(from.into(), to.into(), size.bytes.into(), size.packets.into()) != 0
    }
    #[inline(always)]
    fn judge_group(&self, work: &mut Work, case: &Case) -> u32 {
        known_elsewhere(work);
        global::netvirt_judge_group(case.ifindex.into(), case.remote_vsid.into(), how(case)) as u32
    }
    #[inline(always)]
    fn remember(&self, work: &Work, far: bool) -> bool {
        known_elsewhere(work);
        global::netvirt_remember(far.into()) != 0
    }
    #[inline(always)]
    fn repeat<L: Turn>(&self, turns: u32, looped: &mut L) {
        // The helper takes nothing but what lies on the stack.
        let mut looped = core::ptr::from_mut(looped);
        // SAFETY: `turn` takes what is handed to it here, and the helper calls it while this function waits.
        unsafe {
            bpf_loop(turns, turn::<L> as *mut c_void, core::ptr::from_mut(&mut looped).cast(), 0);
        }
    }
    /// Tells the agent; lost when the ring is full, and, and then the VM's next message tells it again.
    #[inline(always)]
    fn learnt(&self, learn: &pipeline::Learn) {
        // Flag 0 wakes the agent up if it sleeps.
        let _ = EVENTS.output::<pipeline::Learn>(learn, 0);
    }
    #[inline(always)]
    fn admit(&self, key: &MeterKey, limit: &Limit, size: Size) -> bool {
        let Some(meter) = METERS.get_ptr_mut(key) else {
            // The first frame makes the meter, and is not counted.
            let _ = METERS.insert(key, &Meter::default(), 0);
            return true;
        };
        // SAFETY: the pointer is into the map, of which all CPUs read and change single numbers.
        unsafe {
            let (bytes, packets) = (addr_of_mut!((*meter).bytes), addr_of_mut!((*meter).packets));
            let now = meter::ticks(bpf_ktime_get_ns());
            let by_bytes = limit.of_bytes(bytes.read_volatile(), now, size);
            let by_packets = limit.of_packets(packets.read_volatile(), now, size);
            if (limit.bandwidth != 0 && !by_bytes.passes) || (limit.packets != 0 && !by_packets.passes) {
                return false;
            }
            // What is not limited owes nothing, so that a limit which comes later begins anew.
            if limit.bandwidth != 0 {
                pay(bytes, now, by_bytes);
            }
            if limit.packets != 0 {
                pay(packets, now, by_packets);
            }
        }
        true
    }
    #[inline(always)]
    fn admit_flood(&self, slot: u32) -> bool {
        match HOST.get(0) {
            Some(host) => take(&FLOOD_BUCKETS, slot, host.flood_rate, host.flood_burst),
            None => false,
        }
    }
    #[inline(always)]
    fn admit_punt(&self, slot: u32) -> bool {
        match HOST.get(0) {
            Some(host) => take(&PUNT_BUCKETS, slot, host.punt_rate, host.punt_burst),
            None => false,
        }
    }
}

/// Whether the host's agent has not forgotten flows that are over for a while, as it does while it runs.
#[inline(always)]
pub fn is_unswept() -> bool {
    match SWEPT.get_ptr(0) {
        // SAFETY: the pointer is into the map.
        Some(at) => MAPS.now().wrapping_sub(unsafe { at.read_volatile() }) > FORGET_AFTER,
        None => false,
    }
}

/// Counts a frame that was sent on.
#[inline(always)]
pub fn count_sent_on(key: &StationKey) {
    match SENT_ON.get_ptr_mut(key) {
        // SAFETY: the pointer is into the map, and all CPUs count on the number.
        Some(count) => unsafe { add(count, 1) },
        None => {
            let _ = SENT_ON.insert(key, &1, 0);
        }
    }
}

/// A flow that comes with a VM.
#[inline(always)]
pub fn traveller(index: u32) -> Option<&'static Traveller> {
    // SAFETY: the pointer is into the map. The agent, which alone writes there, waits for the program that reads.
    TRAVELLERS.get_ptr(index).map(|traveller| unsafe { &*traveller })
}

/// Notes that it is done now.
#[inline(always)]
pub fn sweep_at(now: u64) {
    if let Some(at) = SWEPT.get_ptr_mut(0) {
        // SAFETY: the pointer is into the map.
        unsafe { at.write_volatile(now) };
    }
}

/// Tells the compiler that the notes are known elsewhere, as they are: what is called next finds them in the map.
#[inline(always)]
fn known_elsewhere(work: &Work) {
    // An instruction that does nothing, since the kernel wants one for each line that the debug information names.
    // SAFETY: nothing is done.
    unsafe { asm!("{0} = {0}", inlateout(reg) core::ptr::from_ref(work) => _, options(nostack)) };
}

/// Direction and place of a case as one number.
#[inline(always)]
fn how(case: &Case) -> u64 {
    case.direction as u64 | u64::from(case.far) << 1
}

/// Adds to a number that other CPUs add to at the same time. `core` has no atomic addition for this target.
///
/// # Safety
/// `number` must point into a map.
#[inline(always)]
unsafe fn add(number: *mut u64, delta: i64) {
    // SAFETY: see above.
    unsafe { asm!("lock *(u64 *)({number} + 0) += {delta}", number = in(reg) number, delta = in(reg) delta) };
}

/// One turn of a loop; 0 for it to go on.
///
/// # Safety
/// `looped` must point to a pointer to one.
unsafe extern "C" fn turn<L: Turn>(_index: u64, looped: *mut *mut L) -> u64 {
    // SAFETY: see above.
    let looped = unsafe { &mut **looped };
    if looped.turn(&MAPS) { 0 } else { 1 }
}

/// Adds what a frame costs to a number of a meter.
///
/// # Safety
/// `number` must point into a map.
#[inline(always)]
unsafe fn pay(number: *mut u64, now: u64, step: Step) {
    // SAFETY: see above.
    unsafe {
        if step.anew {
            number.write_volatile(now);
        }
        add(number, step.cost as i64);
    }
}

/// Takes a token from the bucket of a slot; false when there is none.
#[inline(always)]
fn take(buckets: &Array<Bucket>, slot: u32, rate: u32, burst: u32) -> bool {
    let Some(bucket) = buckets.get_ptr_mut(slot) else { return false };
    // SAFETY: the pointer is into the map. Two CPUs may take the same token at the same time; the limit is there to keep
    // floods away, and one frame more does no harm.
    unsafe {
        match (*bucket).take(bpf_ktime_get_ns(), rate, burst) {
            Some(next) => {
                *bucket = next;
                true
            }
            None => false,
        }
    }
}

/// Hands a whole frame to the agent; false when the ring has no room.
#[inline(always)]
pub fn punt(raw: *mut __sk_buff, ifindex: u32, slot: u32, vsid: u32) -> bool {
    let Some(mut entry) = PUNTS.reserve::<Punted>(0) else { return false };
    let place = entry.as_mut_ptr();
    // SAFETY: the entry is ours until it is submitted, and the helper writes no more bytes than it has: the verifier
    // learns the length's bounds from the comparisons. What lies behind the frame is left from frames before.
    let copied = unsafe {
        let length = core::cmp::min(core::cmp::max((*raw).len, 1), MAX_PUNT);
        addr_of_mut!((*place).ifindex).write(ifindex);
        addr_of_mut!((*place).vsid).write(vsid);
        addr_of_mut!((*place).slot).write(slot);
        addr_of_mut!((*place).length).write(length);
        bpf_skb_load_bytes(raw.cast(), 0, addr_of_mut!((*place).frame).cast(), length)
    };
    if copied != 0 {
        entry.discard(0);
        return false;
    }
    // Flag 0 wakes the agent up if it sleeps.
    entry.submit(0);
    true
}

/// The notes for the frame at hand. Each program that is given them writes before it reads.
#[inline(always)]
pub fn work() -> Option<&'static mut Work> {
    // SAFETY: the entry is this CPU's own, and a tc program is not interrupted by another on its CPU.
    WORK.get_ptr_mut(0).map(|work| unsafe { &mut *work })
}

/// The counters of a slot on this CPU.
#[inline(always)]
pub fn counters(slot: u32) -> Option<&'static mut Counters> {
    // SAFETY: the entry is this CPU's own, and a tc program is not interrupted by another on its CPU.
    COUNTERS.get_ptr_mut(slot).map(|counters| unsafe { &mut *counters })
}
