//! Which address is used for what: stretches that may overlap, as segments that do not.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{AddressMap, StretchKind};

/// Addresses in a row with the same use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Segment {
    pub(super) first: u128,
    pub(super) last: u128,
    pub(super) kind: StretchKind,
    /// Which stretch of the map says so.
    pub(super) stretch: usize,
}

/// How many addresses are used for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    pub(super) given: u128,
    pub(super) reserved: u128,
    pub(super) gateway: u128,
    pub(super) free: u128,
}

impl Counts {
    pub(super) const fn used(&self) -> u128 {
        self.given.saturating_add(self.gateway)
    }

    const fn all(&self) -> u128 {
        self.used().saturating_add(self.reserved).saturating_add(self.free)
    }

    /// The part of these pixels that is a number's.
    pub(super) fn share(&self, number: u128, pixels: i32) -> i32 {
        i32::try_from(part(number, self.all(), u128::from(pixels.max(0).unsigned_abs()))).unwrap_or(pixels)
    }

    /// The part of a number in hundredths of a percent.
    pub(super) fn hundredths(&self, number: u128) -> u128 {
        part(number, self.all(), 10_000)
    }
}

/// `number / all * scale`, with numbers that would not fit taken in thousands of millions.
const fn part(number: u128, all: u128, scale: u128) -> u128 {
    let shift = if all > 1 << 96 { 32 } else { 0 };
    match ((number >> shift) * scale).checked_div(all >> shift) {
        Some(part) => part,
        None => 0,
    }
}

/// The addresses of a map as numbers.
pub(super) struct Space {
    six: bool,
    pub(super) first: u128,
    pub(super) last: u128,
    /// Sorted.
    segments: Vec<Segment>,
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl Space {
    /// What is of another family, or lies outside, is left out.
    pub(super) fn of(map: &AddressMap) -> Self {
        let six = map.first.is_ipv6();
        let (one, other) = (number(map.first), number(map.last));
        let (first, last) = (one.min(other), one.max(other));
        let mut changes: BTreeMap<u128, Vec<(bool, StretchKind, usize)>> = BTreeMap::new();
        for (at, stretch) in map.stretches.iter().enumerate() {
            let (from, to) = (number(stretch.first).max(first), number(stretch.last).min(last));
            if stretch.first.is_ipv6() != six || stretch.last.is_ipv6() != six || from > to {
                continue;
            }
            changes.entry(from).or_default().push((true, stretch.kind, at));
            if to < last {
                changes.entry(to + 1).or_default().push((false, stretch.kind, at));
            }
        }
        Self { six, first, last, segments: segments(&changes, last) }
    }

    /// An address as people write it.
    pub(super) fn spelt(&self, number: u128) -> String {
        match u32::try_from(number) {
            Ok(number) if !self.six => Ipv4Addr::from_bits(number).to_string(),
            _ => Ipv6Addr::from_bits(number).to_string(),
        }
    }

    /// What tells an address apart from its neighbours.
    pub(super) fn end(&self, number: u128) -> String {
        let byte = number & 0xff;
        if self.six { format!("{byte:x}") } else { byte.to_string() }
    }

    /// What lies between two addresses.
    pub(super) fn between(&self, first: u128, last: u128) -> impl Iterator<Item = Segment> {
        let start = self.segments.partition_point(|it| it.last < first);
        let rest = self.segments[start..].iter().take_while(move |it| it.first <= last);
        rest.map(move |it| Segment { first: it.first.max(first), last: it.last.min(last), ..*it })
    }

    /// How many addresses between two are used for what.
    pub(super) fn counts(&self, first: u128, last: u128) -> Counts {
        let mut counts = Counts::default();
        for segment in self.between(first, last) {
            let part = match segment.kind {
                StretchKind::Reserved => &mut counts.reserved,
                StretchKind::Given => &mut counts.given,
                StretchKind::Gateway => &mut counts.gateway,
            };
            *part = part.saturating_add((segment.last - segment.first).saturating_add(1));
        }
        let all = (last - first).saturating_add(1);
        counts.free = all.saturating_sub(counts.used()).saturating_sub(counts.reserved);
        counts
    }

    /// The 256 addresses that are drawn in detail: those around this one, otherwise those where most is in use.
    pub(super) fn window(&self, at: Option<IpAddr>) -> (u128, u128) {
        let asked = at.filter(|it| it.is_ipv6() == self.six).map(number);
        let asked = asked.filter(|it| (self.first..=self.last).contains(it)).map(|it| it >> 8);
        let window = asked.unwrap_or_else(|| self.fullest());
        ((window << 8).max(self.first), ((window << 8) | 0xff).min(self.last))
    }

    fn fullest(&self) -> u128 {
        let mut used: BTreeMap<u128, u128> = BTreeMap::new();
        for segment in self.segments.iter().filter(|it| it.kind != StretchKind::Reserved) {
            // Of those that a segment fills, one is as good as another: its first, its second if that is the first whole one,
            // and its last.
            let (low, high) = (segment.first >> 8, segment.last >> 8);
            for window in BTreeSet::from([low, (low + 1).min(high), high]) {
                let (first, last) = (segment.first.max(window << 8), segment.last.min((window << 8) | 0xff));
                *used.entry(window).or_default() += last - first + 1;
            }
        }
        let best = used.into_iter().max_by_key(|(window, used)| (*used, std::cmp::Reverse(*window)));
        best.map_or(self.first >> 8, |(window, _)| window)
    }
}

/// Goes along the addresses and notes who has the first say.
fn segments(changes: &BTreeMap<u128, Vec<(bool, StretchKind, usize)>>, last: u128) -> Vec<Segment> {
    let mut active: BTreeSet<(StretchKind, std::cmp::Reverse<usize>)> = BTreeSet::new();
    let mut segments: Vec<Segment> = Vec::new();
    let mut positions = changes.iter().peekable();
    while let Some((position, changes)) = positions.next() {
        for (begins, kind, stretch) in changes {
            let entry = (*kind, std::cmp::Reverse(*stretch));
            if *begins {
                active.insert(entry)
            } else {
                active.remove(&entry)
            };
        }
        let Some((kind, std::cmp::Reverse(stretch))) = active.last().copied() else { continue };
        let end = positions.peek().map_or(last, |(next, _)| **next - 1);
        match segments.last_mut() {
            Some(before) if before.stretch == stretch && before.last + 1 == *position => before.last = end,
            _ => segments.push(Segment { first: *position, last: end, kind, stretch }),
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Stretch;
    use super::*;

    fn map(stretches: Vec<(u8, u8, StretchKind)>) -> AddressMap {
        let address = |byte: u8| IpAddr::from([10, 0, 0, byte]);
        let stretch = |(first, last, kind)| {
            let (first, last) = (address(first), address(last));
            Stretch { first, last, kind, label: String::new(), href: String::new() }
        };
        let stretches = stretches.into_iter().map(stretch).collect();
        AddressMap {
            title: String::new(),
            first: address(4),
            last: address(250),
            stretches,
            at: None,
            zoom: String::new(),
        }
    }

    fn kind() -> impl Strategy<Value = StretchKind> {
        prop_oneof![Just(StretchKind::Reserved), Just(StretchKind::Given), Just(StretchKind::Gateway)]
    }

    proptest! {
        #[test]
        fn each_address_is_counted_once_by_who_has_the_first_say(
            stretches in prop::collection::vec((any::<u8>(), any::<u8>(), kind()), 0..24)
        ) {
            let space = Space::of(&map(stretches.clone()));
            let of = |byte: u8| {
                stretches.iter().filter(|(first, last, _)| (*first..=*last).contains(&byte)).map(|it| it.2).max()
            };
            let counts = space.counts(space.first, space.last);
            let count = |kind| (4..=250).filter(|byte| of(*byte) == kind).count() as u128;
            prop_assert_eq!(counts.given, count(Some(StretchKind::Given)));
            prop_assert_eq!(counts.reserved, count(Some(StretchKind::Reserved)));
            prop_assert_eq!(counts.gateway, count(Some(StretchKind::Gateway)));
            prop_assert_eq!(counts.free, count(None));
            for pair in space.segments.windows(2) {
                prop_assert!(pair[0].last < pair[1].first);
            }
        }
    }

    #[test]
    fn the_ends_of_all_addresses_are_no_trouble() {
        let whole = IpAddr::from(Ipv6Addr::UNSPECIFIED);
        let last = IpAddr::from(Ipv6Addr::from_bits(u128::MAX));
        let stretch = |kind| Stretch { first: whole, last, kind, label: String::new(), href: String::new() };
        let mut map = map(Vec::new());
        (map.first, map.last, map.stretches) = (whole, last, vec![stretch(StretchKind::Given)]);
        let space = Space::of(&map);
        assert_eq!(space.counts(space.first, space.last).given, u128::MAX);
        assert_eq!(space.counts(space.first, space.last).hundredths(u128::MAX), 10_000);
        assert_eq!(space.window(Some(last)), (u128::MAX - 255, u128::MAX));
    }
}
