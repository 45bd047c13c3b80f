//! What the NAT connections of a compartment come to: which prefixes appear as what, and what is whose outside.

use std::net::IpAddr;

use ipnet::IpNet;
use model::gateway::{Compartment, Forward, Nat, Outside, Service, SharedAddress};

use super::number;

/// A NAT connection of a compartment, with what it leaves out filled in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Translation<'c> {
    /// Number of the connection.
    pub(super) number: u16,
    /// What it says.
    pub(super) nat: &'c Nat,
    /// What is translated.
    pub(super) prefixes: Vec<IpNet>,
    /// As what, of IPv4.
    pub(super) v4: Sources,
    /// As what, of IPv6.
    pub(super) v6: Sources,
}

/// What VMs appear as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Sources {
    /// Nothing: they have no way out.
    None,
    /// One of these addresses, which are the compartment's alone.
    Own(Vec<IpAddr>),
    /// Ports of these addresses, by the edge.
    Shared(Vec<SharedAddress>),
}

impl Translation<'_> {
    /// As what VMs appear, of one family.
    pub(super) const fn sources(&self, v6: bool) -> &Sources {
        if v6 { &self.v6 } else { &self.v4 }
    }

    /// The address of the outside whose ports a forward takes.
    pub(super) fn external(&self, forward: &Forward) -> Option<IpAddr> {
        forward.external.or_else(|| match self.sources(forward.internal.is_ipv6()) {
            Sources::None => None,
            Sources::Own(addresses) => addresses.first().copied(),
            Sources::Shared(shared) => shared.first().map(|part| part.address),
        })
    }

    /// Addresses and prefixes of the outside, of one family, that lead to VMs.
    pub(super) fn externals(&self, v6: bool) -> Vec<IpNet> {
        let floating = self.nat.floating.iter().map(|floating| floating.external);
        let forwards = self.nat.forwards.iter().filter_map(|forward| self.external(forward));
        let mut externals: Vec<_> = floating.chain(forwards).map(IpNet::from).collect();
        externals.extend(self.nat.translations.iter().map(|pair| IpNet::V6(pair.external.trunc())));
        externals.retain(|external| external.addr().is_ipv6() == v6);
        externals.sort_unstable();
        externals.dedup();
        externals
    }
}

/// The NAT connections of a compartment.
pub(super) fn translations(compartment: &Compartment) -> Vec<Translation<'_>> {
    let mut all = Vec::new();
    for connection in &compartment.connections {
        let Some((Service::Nat(nat), number)) = connection.service().zip(number(compartment, connection)) else {
            continue;
        };
        let prefixes = if nat.prefixes.is_empty() { &compartment.inside.prefixes } else { &nat.prefixes };
        let outside = compartment.outside.as_ref();
        all.push(Translation {
            number,
            nat,
            prefixes: prefixes.clone(),
            v4: sources(nat, outside, false),
            v6: sources(nat, outside, true),
        });
    }
    all
}

/// What VMs appear as, of one family: addresses of their own if there are such, else ports of shared ones.
fn sources(nat: &Nat, outside: Option<&Outside>, v6: bool) -> Sources {
    let Some(outside) = outside else { return Sources::None };
    let shared: Vec<_> = outside.shared.iter().filter(|part| part.address.is_ipv6() == v6).copied().collect();
    let named: Vec<_> = nat.addresses.iter().filter(|address| address.is_ipv6() == v6).copied().collect();
    let is_shared = |address: &IpAddr| shared.iter().any(|part| part.address == *address);
    let own: Vec<_> = named.iter().filter(|address| !is_shared(address)).copied().collect();
    if !own.is_empty() {
        return Sources::Own(own);
    }
    let shared: Vec<_> =
        shared.into_iter().filter(|part| nat.addresses.is_empty() || named.contains(&part.address)).collect();
    if shared.is_empty() { Sources::None } else { Sources::Shared(shared) }
}

/// Whether an address of the outside is shared with other compartments.
pub(super) fn is_shared(outside: &Outside, address: IpAddr) -> bool {
    outside.shared.iter().any(|part| part.address == address)
}
