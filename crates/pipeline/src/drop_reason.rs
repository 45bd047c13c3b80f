//! Why a packet ends its journey: every drop has one of these names.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $number:literal: $explanation:literal;)*) => {
        /// Why a packet is dropped. The numbers index the counters and never change their meaning.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
        #[repr(u32)]
        pub enum DropReason {
            $($(#[$doc])* $name = $number,)*
        }

        impl DropReason {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The reason with this number; [`DropReason::Malformed`] if there is none.
            pub const fn from_number(number: u32) -> Self {
                match number { $($number => Self::$name,)* _ => Self::Malformed }
            }

            /// The name, as it is counted and shown.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// What happened and what to look at, in one sentence.
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$name => $explanation,)* }
            }
        }
    };
}

/// Length of the array of counters: one for each reason, and room to grow.
pub const MAX_REASONS: usize = 64;

reasons! {
    /// A header is truncated or contradicts itself.
    #[default]
    Malformed = 0: "a header is truncated or contradicts itself";
    /// An 802.1Q tag, which VM networks do not carry (RFC 7637, section 3.3; RFC 7348, section 6.1).
    VlanTag = 1: "the frame carries an 802.1Q tag, which a VM network does not carry; untag it in the VM";
    /// The source MAC address is not the port's.
    SourceMac = 2: "the source MAC address is not the port's own; give the VM's interface the port's, or the port the VM's";
    /// The source address is not the port's.
    SourceAddress = 3: "the source address has no lookup record with the sender's MAC address in this VSID";
    /// The VSID is not known on this host.
    UnknownSubnet = 4: "no lookup record, customer route or port of this host names the VSID";
    /// The source provider address belongs to no host we know.
    UnknownProvider = 5: "the outer source is no provider address that a lookup record names";
    /// The source provider address is not the one of the sender's record.
    WrongProvider = 6: "the outer source is not the provider address that the sender's lookup record names";
    /// The sender has no record.
    UnknownSource = 7: "the sender has no lookup record in this VSID";
    /// The destination has no record.
    NoRecord = 8: "the destination has no lookup record in its VSID; create one";
    /// No customer route.
    NoRoute = 9: "no customer route of the routing domain leads to the destination; create one";
    /// The port is in another VSID than the record.
    SubnetMismatch = 10: "the destination's port is in another VSID than the packet";
    /// Too big for the underlay, and nobody to tell.
    TooBig = 11: "the packet is larger than the underlay carries, and its sender cannot be told; lower the VM's MTU";
    /// The time to live ran out, and nobody to tell.
    TtlExceeded = 12: "the time to live ran out, and its sender cannot be told";
    /// The record names this host, but no port is here.
    NoPort = 13: "the lookup record names this host, but no port with the record's MAC address and VSID is plugged here";
    /// The host of the destination cannot be reached.
    NoPeer = 14: "this host has no provider address of the family of the destination's";
    /// A fragment of an outer packet.
    OuterFragment = 15: "the outer packet is a fragment, which hosts never send (RFC 7637, section 4.4; RFC 7348, section 4.3); raise the underlay's MTU";
    /// Too many broadcast and multicast frames.
    FloodLimit = 16: "the port sends more broadcast and multicast frames than its limit allows";
    /// The kernel could not change the frame.
    NoRoom = 17: "the kernel had no room to rewrite the frame";
    /// The VM announced or probed its own address, which needs no answer.
    OwnAddress = 18: "the VM announced or probed its own address, which needs no answer";
    /// The gateway answers echo requests only.
    ToGateway = 19: "the packet is for the subnet's gateway itself, which answers ARP, ND and echo requests only";
    /// A router advertisement or redirect from a port that is no router.
    RouterGuard = 20: "a router advertisement or redirect came from a port that is no next hop of a customer route";
    /// A neighbor message speaks for somebody else.
    NeighborSpoof = 21: "an ARP or ND message names an address or MAC address that is not the sender's";
    /// A record with rule Nat or None is reached from an address without one.
    NotTranslated = 22: "one side has a lookup record with rule TranslationMethodNat or TranslationMethodNone, the other has not";
    /// Congestion mark on a packet that cannot carry it.
    Congestion = 23: "the underlay marked congestion on a packet whose sender does not know ECN (RFC 6040, section 4.2)";
    /// A frame that is neither IP nor ARP for a VM that is reached without encapsulation.
    NotIp = 24: "only IP packets reach a VM whose lookup record says TranslationMethodNat or TranslationMethodNone";
    /// The agent has not configured this host.
    NotConfigured = 25: "the host's tables are empty; start the agent";
    /// A frame to send on that is not one of ours.
    RelayFailed = 26: "a frame that this host put back to its uplink names no host it knows";
    /// A broadcast or multicast frame was replicated to nobody.
    NoReplica = 27: "a broadcast or multicast frame has no other port or host to go to in its VSID";
    /// A DHCP server's message from a VM, where the host is the server.
    RogueDhcp = 28: "a DHCP server's message came from a VM of a subnet that has a DHCP scope, where the host alone is the server";
    /// Too many frames for the agent.
    PuntLimit = 29: "the port sends more DHCP messages and router solicitations than its limit allows";
    /// Too long for the agent.
    PuntSize = 30: "a DHCP message or router solicitation is longer than the 1,514 bytes that the host's agent takes";
    /// The agent is too slow, or not there.
    PuntLost = 31: "the host's agent does not keep up with DHCP messages and router solicitations, or does not run";
    /// A VM speaks like a host.
    Encapsulation = 32: "a VM of a physical network sent NVGRE, VXLAN or Geneve, which only hosts may send there; give its port addresses of its own if it is a host";
    /// The sender's security groups.
    EgressRule = 33: "the security groups of the sending port do not let it out; add a rule that allows it";
    /// The receiver's security groups.
    IngressRule = 34: "the security groups of the port that it is for do not let it in; add a rule that allows it";
    /// Too many flows.
    FlowLimit = 35: "the port has as many flows, or as many half-open ones, as its limit allows, or the host as many as its table holds";
    /// A fragment whose packet is not known.
    FragmentLost = 36: "a fragment came without the first one of its packet, which says what it belongs to";
    /// A fragment that could rewrite what was judged.
    FragmentOverlap = 37: "a fragment overlaps another, or is too small to hold the transport header (RFC 1858, RFC 5722)";
    /// Options that nobody needs.
    IpOptions = 38: "the packet has IP options or extension headers that let a sender choose the way, or more of them than any use needs (RFC 7126, RFC 5095)";
    /// Geneve with something that must be understood.
    GeneveOption = 39: "a Geneve packet of another host is a control packet, has a critical option, or more than 128 bytes of options, none of which this host understands";
    /// More than a limit.
    RateLimit = 40: "the port, or all ports of its VM network on this host together, send or are sent more than their limit; raise it, or send less";
}

const _: () = assert!(DropReason::ALL.len() <= MAX_REASONS);
