//! Maps of the addresses of pools: what is given out, and to whom.

use std::net::IpAddr;

use maud::{Markup, html};
use model::fabric::AddressRange;

use crate::context::View;
use crate::pages::pieces::{inside, words};
use crate::pictures::{AddressMap, Setting, Stretch, StretchKind, address_map};
use crate::texts::fabric::*;

/// An address that is given out: to whom, and where that is shown.
pub struct Given {
    /// The address.
    pub address: IpAddr,
    /// Who has it.
    pub label: String,
    /// Where that is.
    pub href: String,
    /// Whether it is a gateway's.
    pub gateway: bool,
}

/// The maps of a pool: one of each family that it has addresses of. `here` is the page that they stand on; which part of a large
/// one is drawn in detail is asked for by `?at=`.
pub fn shown(
    view: &View<'_>,
    name: &str,
    ranges: &[AddressRange],
    reserved: &[AddressRange],
    given: &[Given],
    here: &str,
) -> Markup {
    let at = view.context.query.text("at").parse::<IpAddr>().ok();
    let map = |is_v4: bool| {
        let of_family = |range: &&AddressRange| range.first().is_ipv4() == is_v4;
        let mut own: Vec<&AddressRange> = ranges.iter().filter(of_family).collect();
        own.sort_by_key(|range| range.first());
        let (first, last) = (own.first()?.first(), own.iter().map(|range| range.last()).max()?);
        let map = AddressMap {
            title: view.tf(ADDRESS_MAP, &[name]),
            first,
            last,
            stretches: stretches(view, &own, reserved, given),
            at: at.filter(|at| at.is_ipv4() == is_v4),
            zoom: format!("{here}?at="),
        };
        Some(inside(address_map(&map, &Setting::page(words(view)))))
    };
    html! { @for map in [map(true), map(false)].into_iter().flatten() { (map) } }
}

/// What is not free between the first and the last address: what lies between ranges is not the pool's at all.
fn stretches(view: &View<'_>, own: &[&AddressRange], reserved: &[AddressRange], given: &[Given]) -> Vec<Stretch> {
    let is_v4 = own.first().is_some_and(|range| range.first().is_ipv4());
    let held = |first, last, label: &str| Stretch {
        first,
        last,
        kind: StretchKind::Reserved,
        label: label.to_owned(),
        href: String::new(),
    };
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut end = own.first().map(|range| range.last());
    for range in own.iter().skip(1) {
        let (Some(until), begin) = (end, range.first()) else { continue };
        if let (Some(first), Some(last)) = (next(until), previous(begin))
            && first <= last
        {
            stretches.push(held(first, last, view.t(NOT_OF_POOL)));
        }
        end = Some(until.max(range.last()));
    }
    let reserved = reserved.iter().filter(|range| range.first().is_ipv4() == is_v4);
    stretches.extend(reserved.map(|range| held(range.first(), range.last(), view.t(RESERVED))));
    stretches.extend(given.iter().filter(|given| given.address.is_ipv4() == is_v4).map(|given| Stretch {
        first: given.address,
        last: given.address,
        kind: if given.gateway { StretchKind::Gateway } else { StretchKind::Given },
        label: given.label.clone(),
        href: given.href.clone(),
    }));
    stretches
}

fn next(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => address.to_bits().checked_add(1).map(|bits| IpAddr::V4(bits.into())),
        IpAddr::V6(address) => address.to_bits().checked_add(1).map(|bits| IpAddr::V6(bits.into())),
    }
}

fn previous(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => address.to_bits().checked_sub(1).map(|bits| IpAddr::V4(bits.into())),
        IpAddr::V6(address) => address.to_bits().checked_sub(1).map(|bits| IpAddr::V6(bits.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_neighbours_but_for_the_first_and_the_last() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(next(address("10.0.0.255")), Some(address("10.0.1.0")));
        assert_eq!(previous(address("fd00::1:0")), Some(address("fd00::ffff")));
        assert_eq!((next(address("255.255.255.255")), previous(address("::"))), (None, None));
    }
}
