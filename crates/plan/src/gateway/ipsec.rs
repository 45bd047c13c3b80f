//! IPsec tunnels of a compartment: what charon is to be told of each, what leads into them, and how large a packet may be.
//!
//! All tunnels of a compartment end at one device, [`DEVICE`]: strongSwan's TUN device where ESP is done in user space, an
//! XFRM interface where the kernel does it. Which tunnel a packet takes is said by traffic selectors.

mod certificates;
mod overhead;
mod reasons;

use std::net::IpAddr;

use ipnet::IpNet;
use model::gateway::{Certificates, Compartment, Connection, Ipsec, Secret};

pub use certificates::trouble as certificate_trouble;
pub use overhead::mtu;
pub use reasons::{Attempt, Complaint, Journal};

/// The device of all tunnels.
pub const DEVICE: &str = "ipsec0";

/// The number that joins policies of the kernel to [`DEVICE`] (`XFRMA_IF_ID`).
pub const INTERFACE_ID: u32 = 1;

/// Proposals of IKE, in the order of preference. The first two are what RFC 8247 and CNSA name; the last is what nearly every
/// device of the last ten years has.
const IKE_PROPOSALS: [&str; 4] = [
    "aes256gcm16-prfsha384-ecp384",
    "aes128gcm16-prfsha256-curve25519",
    "aes256-sha256-ecp256",
    "aes256-sha256-modp2048",
];

/// Proposals of ESP. Those without a group are for others that make no new one when they make new keys: with them such a
/// tunnel would come up, and end at its first rekeying.
const ESP_PROPOSALS: [&str; 5] =
    ["aes256gcm16-ecp384", "aes128gcm16-curve25519", "aes256-sha256-modp2048", "aes256gcm16", "aes256-sha256"];

/// Seconds of silence before the other side is asked whether it is there.
pub const DPD_DELAY: u32 = 5;

/// Seconds until ESP's keys are made anew.
pub const REKEY_TIME: u32 = 3600;

/// Who does ESP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Esp {
    /// The kernel, by XFRM.
    Kernel,
    /// Charon itself, by its plugin kernel-libipsec; always in UDP.
    Userspace,
}

impl Esp {
    /// The word for it in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kernel => "kernel ESP",
            Self::Userspace => "userspace ESP",
        }
    }
}

/// How both sides show who they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Authentication<'c> {
    /// By a key that both have.
    Psk(&'c Secret),
    /// By certificates.
    Certificates(&'c Certificates),
}

/// A tunnel, every choice made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tunnel<'c> {
    /// The connection's name, charon's too.
    pub name: &'c str,
    /// Our address, of the same family as the other side's.
    pub local: IpAddr,
    /// The other side's; none: it may come from anywhere, and is known by `remote_id` alone.
    pub remote: Option<IpAddr>,
    /// Who we are.
    pub local_id: String,
    /// Who the other side is.
    pub remote_id: String,
    /// How both show it.
    pub authentication: Authentication<'c>,
    /// What may be reached here.
    pub local_selectors: Vec<IpNet>,
    /// What is reached there.
    pub remote_selectors: Vec<IpNet>,
    /// Prefixes that are routed into the tunnel.
    pub routes: Vec<IpNet>,
    /// Addresses of our own at [`DEVICE`]: those that are declared, and one in each of `local_selectors`, which charon's ESP
    /// asks for, and by which the compartment itself can speak to what is there. It is the subnet's router's, which the hosts
    /// answer for towards VMs, so that no VM has it.
    pub addresses: Vec<IpNet>,
    /// Proposals of IKE.
    pub ike_proposals: Vec<String>,
    /// Proposals of ESP.
    pub esp_proposals: Vec<String>,
    /// Whether we open it; else we wait for the other side.
    pub opens: bool,
    /// Seconds of silence before the other side is asked whether it is there.
    pub dpd_delay: u32,
    /// Seconds until ESP's keys are made anew.
    pub rekey_time: u32,
}

/// What a tunnel does not say of its other side, and must.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Lack {
    /// Where it is, since we open the tunnel.
    #[error(
        "names no remote, and opens itself; set ipsec.remote to the other side's address, or ipsec.passive to wait for it"
    )]
    Remote,
    /// Who it is, since it may be anywhere.
    #[error(
        "names no remote, and so the other side is known by its name in IKE alone; set ipsec.remoteId to that, such as \
         office.example, or ipsec.remote to its address"
    )]
    Name,
    /// Where it is, since everything is led to it: the way to itself too.
    #[error(
        "leads everything to a side whose own address it does not know, and would lead there what keeps it up; set \
         ipsec.remote to that address, or ipsec.remotePrefixes to what lies behind it"
    )]
    Way,
}

/// What a tunnel's declaration lacks, if anything: one that only answers need not say where the other side is.
pub fn lack(ipsec: &Ipsec) -> Option<Lack> {
    if ipsec.remote.is_some() {
        None
    } else if !ipsec.passive {
        Some(Lack::Remote)
    } else if ipsec.remote_id.is_none() {
        Some(Lack::Name)
    } else {
        ipsec.remote_prefixes.iter().any(|prefix| prefix.prefix_len() == 0).then_some(Lack::Way)
    }
}

/// Why there can be no such tunnel.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// Nobody said where to, or who.
    #[error("this tunnel {0}")]
    Lacks(Lack),
    /// No address that could speak to the other side.
    #[error(
        "the compartment has no {family} address of its own outside, by which {remote} could be reached; IKE and ESP cannot \
         come from an address that compartments share: give the compartment's outside one of its own"
    )]
    NoAddress {
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// The other side.
        remote: IpAddr,
    },
    /// No address at all.
    #[error(
        "the compartment has no address of its own outside, at which the other side could open the tunnel; IKE cannot listen \
         at an address that compartments share: give the compartment's outside one of its own"
    )]
    NoOutside,
    /// Two wait for the same.
    #[error("tunnel {other} waits for \"{name}\" from anywhere too; give each other side an ipsec.remoteId of its own")]
    SameName {
        /// For whom.
        name: String,
        /// Which connection.
        other: String,
    },
    /// Neither or both.
    #[error("set exactly one of ipsec.psk and ipsec.certificates")]
    Authentication,
    /// Nothing there or here.
    #[error(
        "the tunnel has nothing to carry: set ipsec.remotePrefixes, or bgp for routes that are learnt, and subnets of the same family here"
    )]
    NoSelectors,
    /// No address in what is here that could be ours.
    #[error(
        "{prefix} is a part of subnet {subnet} without the address of its router, and the tunnel needs an address there that \
         is no VM's; let ipsec.localPrefixes have the whole of {subnet}, and restrict it by security groups"
    )]
    NoOwn {
        /// What is too narrow.
        prefix: IpNet,
        /// The subnet that it is in.
        subnet: IpNet,
    },
    /// Two lead to the same.
    #[error("{prefix} is behind tunnel {other} already; let one of the two lead there")]
    Taken {
        /// What.
        prefix: IpNet,
        /// By which connection.
        other: String,
    },
}

/// The tunnels of a compartment, or why there can be none, with their connections. None while it stands by, also while it is
/// leaving: the active host speaks from the same address, and what two hosts say there the other side cannot tell apart.
pub fn tunnels(compartment: &Compartment) -> Vec<(&Connection, Result<Tunnel<'_>, Error>)> {
    let mut tunnels: Vec<(&Connection, Result<Tunnel<'_>, Error>)> = Vec::new();
    for connection in compartment.connections.iter().filter(|_| !compartment.standby) {
        let Some(ipsec) = &connection.ipsec else { continue };
        let made = tunnel(compartment, connection, ipsec).and_then(|tunnel| {
            match tunnels
                .iter()
                .filter_map(|(_, other)| other.as_ref().ok())
                .find_map(|other| collision(&tunnel, other))
            {
                Some(taken) => Err(taken),
                None => Ok(tunnel),
            }
        });
        tunnels.push((connection, made));
    }
    tunnels
}

/// What two tunnels cannot both have: the same policies, or nothing by which their other sides are told apart.
fn collision(one: &Tunnel<'_>, other: &Tunnel<'_>) -> Option<Error> {
    // Charon would take the first one for both.
    if one.remote.or(other.remote).is_none() && one.remote_id == other.remote_id {
        return Some(Error::SameName { name: one.remote_id.clone(), other: other.name.to_owned() });
    }
    let here = one.local_selectors.iter().any(|prefix| other.local_selectors.contains(prefix));
    let prefix = one.remote_selectors.iter().find(|prefix| other.remote_selectors.contains(prefix)).filter(|_| here)?;
    Some(Error::Taken { prefix: *prefix, other: other.name.to_owned() })
}

/// One tunnel.
fn tunnel<'c>(compartment: &'c Compartment, connection: &'c Connection, ipsec: &'c Ipsec) -> Result<Tunnel<'c>, Error> {
    if let Some(lack) = lack(ipsec) {
        return Err(Error::Lacks(lack));
    }
    let local = local_address(compartment, ipsec.remote)?;
    let authentication = match (&ipsec.psk, &ipsec.certificates) {
        (Some(psk), None) => Authentication::Psk(psk),
        (None, Some(certificates)) => Authentication::Certificates(certificates),
        _ => return Err(Error::Authentication),
    };
    let (local_selectors, remote_selectors) = selectors(&compartment.inside.prefixes, connection.bgp.is_some(), ipsec)?;
    let addresses = addresses(compartment, ipsec, &local_selectors)?;
    let (ike_proposals, esp_proposals) = proposals(ipsec);
    Ok(Tunnel {
        name: connection.name.as_str(),
        local,
        remote: ipsec.remote,
        local_id: ipsec.local_id.clone().unwrap_or_else(|| local.to_string()),
        remote_id: ipsec.remote_id.clone().or_else(|| Some(ipsec.remote?.to_string())).unwrap_or_default(),
        authentication,
        local_selectors,
        remote_selectors,
        routes: ipsec.remote_prefixes.iter().flat_map(routes).collect(),
        addresses,
        ike_proposals,
        esp_proposals,
        opens: !ipsec.passive,
        dpd_delay: ipsec.dpd_delay.unwrap_or(DPD_DELAY),
        rekey_time: ipsec.rekey_time.unwrap_or(REKEY_TIME),
    })
}

impl Tunnel<'_> {
    /// The other side as sentences call it: its address, or its name where it may come from anywhere.
    pub fn other_side(&self) -> String {
        self.remote.map_or_else(|| format!("\"{}\"", self.remote_id), |remote| remote.to_string())
    }

    /// What a side that waits and has heard nothing says.
    pub fn waiting(&self) -> String {
        let Self { local, local_id, remote_id, .. } = self;
        match self.remote {
            Some(remote) => {
                format!("waiting for {remote}, since this side is passive; is it set up to open the tunnel to {local}?")
            }
            None => format!(
                "waiting for \"{remote_id}\" from anywhere, since no ipsec.remote is named; is it set up to open the tunnel to \
                 {local}, does it call itself that in IKE, and us \"{local_id}\"?"
            ),
        }
    }
}

/// The compartment's first address outside, of the family of the other side's where that is known.
fn local_address(compartment: &Compartment, remote: Option<IpAddr>) -> Result<IpAddr, Error> {
    let mut own = compartment.outside.iter().flat_map(|outside| &outside.addresses).map(IpNet::addr);
    let Some(remote) = remote else { return own.next().ok_or(Error::NoOutside) };
    let family = if remote.is_ipv4() { "IPv4" } else { "IPv6" };
    own.find(|own| own.is_ipv4() == remote.is_ipv4()).ok_or(Error::NoAddress { family, remote })
}

/// See [`Tunnel::addresses`].
fn addresses(compartment: &Compartment, ipsec: &Ipsec, selectors: &[IpNet]) -> Result<Vec<IpNet>, Error> {
    let mut addresses = ipsec.addresses.clone();
    for selector in selectors {
        if addresses.iter().any(|address| selector.contains(&address.addr())) {
            continue;
        }
        let subnets = &compartment.inside.prefixes;
        let whole = subnets.iter().find(|subnet| selector.contains(&subnet.trunc()));
        let router = lowest_host(whole.unwrap_or(selector));
        if whole.is_none()
            && let Some(subnet) = subnets.iter().find(|subnet| subnet.contains(selector))
            && lowest_host(subnet) != router
        {
            return Err(Error::NoOwn { prefix: *selector, subnet: *subnet });
        }
        addresses.push(router.into());
    }
    Ok(addresses)
}

/// The lowest address of a prefix that a host may have; in a subnet it is the router's.
fn lowest_host(prefix: &IpNet) -> IpAddr {
    let single = prefix.prefix_len() == prefix.max_prefix_len();
    match prefix.network() {
        network if single => network,
        IpAddr::V4(network) => IpAddr::V4((network.to_bits() | 1).into()),
        IpAddr::V6(network) => IpAddr::V6((network.to_bits() | 1).into()),
    }
}

/// Routes to a prefix; to everything in two halves, beside the compartment's own route to everything.
pub(super) fn routes(prefix: &IpNet) -> Vec<IpNet> {
    let halves = prefix.subnets(1).ok().filter(|_| prefix.prefix_len() == 0);
    halves.map_or_else(|| vec![prefix.trunc()], Iterator::collect)
}

/// What may pass, here and there, where the VM network's subnets have these prefixes. Where routes are learnt, it is not known
/// beforehand: all, and the other side narrows it down.
///
/// # Errors
/// When nothing may.
pub fn selectors(prefixes: &[IpNet], learns: bool, ipsec: &Ipsec) -> Result<(Vec<IpNet>, Vec<IpNet>), Error> {
    let mut here = if ipsec.local_prefixes.is_empty() { prefixes } else { &ipsec.local_prefixes }.to_vec();
    let mut there = ipsec.remote_prefixes.clone();
    if learns && there.is_empty() {
        let families = ipsec.addresses.iter().chain(&here).map(|prefix| prefix.addr().is_ipv4()).collect::<Vec<_>>();
        let everything = [IpNet::V4(ipnet::Ipv4Net::default()), IpNet::V6(ipnet::Ipv6Net::default())];
        there = everything.into_iter().filter(|all| families.contains(&all.addr().is_ipv4())).collect();
        here.clone_from(&there);
    } else {
        // The prefix of an address inside of the tunnel has both ends of it.
        here.extend_from_slice(&ipsec.addresses);
        there.extend_from_slice(&ipsec.addresses);
    }
    let (here, there) = (tidy(here), tidy(there));
    let one_family = |family: bool| {
        let has = |prefixes: &[IpNet]| prefixes.iter().any(|prefix| prefix.addr().is_ipv4() == family);
        has(&here) && has(&there)
    };
    if one_family(true) || one_family(false) { Ok((here, there)) } else { Err(Error::NoSelectors) }
}

/// The proposals of IKE and of ESP of a tunnel.
pub fn proposals(ipsec: &Ipsec) -> (Vec<String>, Vec<String>) {
    (or_else(&ipsec.ike_proposals, &IKE_PROPOSALS), or_else(&ipsec.esp_proposals, &ESP_PROPOSALS))
}

/// Without host bits, sorted, none inside of another. Neighbors are not made one: the other side may name both.
fn tidy(prefixes: Vec<IpNet>) -> Vec<IpNet> {
    let mut tidy: Vec<_> = prefixes.iter().map(IpNet::trunc).collect();
    tidy.sort_unstable();
    tidy.dedup();
    let all = tidy.clone();
    tidy.retain(|prefix| !all.iter().any(|other| other != prefix && other.contains(prefix)));
    tidy
}

/// A list, or another one where it is empty.
fn or_else(said: &[String], otherwise: &[&str]) -> Vec<String> {
    if said.is_empty() { otherwise.iter().map(|text| (*text).to_owned()).collect() } else { said.to_vec() }
}

/// The text of `strongswan.conf` for a charon that has a compartment to itself: what it loads, and how it behaves towards all.
///
/// - The first to be loaded of two plugins that do the same is the one that does it: OpenSSL before the slower ones, ESP in
///   user space before the kernel's.
/// - Routes are ours, since they must be there before a tunnel is up: else what should be secret would leave by the
///   default route meanwhile.
/// - Its ESP in user space makes routes all the same, in a table of their own. It is asked after all others, so that a tunnel
///   that may carry everything leads nothing away.
/// - A dead peer is found dead after five tries in 17 seconds: 1 + 1.6 + 2.6 + 4.1 + 6.6 (`retransmit_*`; by default 165).
/// - Nothing is logged to a file but what happens at the start: what happens later is told by VICI, and files would grow.
pub fn strongswan_conf(esp: Esp, socket: &str) -> String {
    let libipsec = match esp {
        Esp::Userspace => "kernel-libipsec ",
        Esp::Kernel => "",
    };
    format!(
        "# Written by netvirt; changes are lost.
charon {{
    load_modular = no
    load = random nonce drbg openssl aes sha1 sha2 hmac kdf gcm curve25519 chapoly x509 constraints pubkey pkcs1 pkcs8 pem \
{libipsec}kernel-netlink socket-default vici
    install_routes = no
    install_virtual_ip = no
    routing_table_prio = 32800
    threads = 16
    retransmit_tries = 4
    retransmit_timeout = 1.0
    retransmit_base = 1.6
    plugins {{
        vici {{
            socket = unix://{socket}
        }}
        kernel-libipsec {{
            allow_peer_ts = yes
        }}
    }}
    filelog {{
        stderr {{
            default = -1
            dmn = 1
            lib = 1
        }}
    }}
}}
"
    )
}

#[cfg(test)]
mod tests;
