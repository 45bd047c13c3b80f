//! VSIDs that were given back lately. A host that lags behind may still take frames with such a VSID for the subnet that
//! had it, so the subnets that come next are given others, as long as there are any.
//!
//! What a tunnel carries is told apart by its VSID alone, which is why a VSID rests and an address or a MAC address, which
//! mean something only in a VSID, do not. The controller's memory has it: after a restart, none is resting.

use std::collections::VecDeque;

use model::Vsid;
use model::fabric::Object;
use rangemap::RangeInclusiveSet;

/// Most VSIDs that rest; with one more, the one that was given back longest ago is as good as new.
pub(super) const MAX_RETIRED: usize = 65_536;

/// The VSIDs that rest.
#[derive(Clone, Default, Debug)]
pub(super) struct Retired {
    /// The one that was given back longest ago comes first; each is there once.
    order: VecDeque<Vsid>,
    numbers: RangeInclusiveSet<u128>,
}

/// The VSID that an object had before a change and has not after it: a VM subnet's, or that of a VM network's gateway subnet.
pub(super) fn given_back(before: Option<&Object>, after: Option<&Object>) -> Option<Vsid> {
    let of = |object: Option<&Object>| {
        let given = &object?.allocation;
        given.vsid.or_else(|| given.gateway.as_ref().map(|gateway| gateway.vsid))
    };
    of(before).filter(|vsid| of(after) != Some(*vsid))
}

impl Retired {
    /// It was given back now.
    pub(super) fn add(&mut self, vsid: Option<Vsid>) {
        let Some(vsid) = vsid else { return };
        self.withdraw(Some(vsid));
        if self.order.len() >= MAX_RETIRED
            && let Some(oldest) = self.order.pop_front()
        {
            self.numbers.remove(number(oldest)..=number(oldest));
        }
        self.order.push_back(vsid);
        self.numbers.insert(number(vsid)..=number(vsid));
    }

    /// It was not given back after all.
    pub(super) fn withdraw(&mut self, vsid: Option<Vsid>) {
        let Some(vsid) = vsid.filter(|vsid| self.numbers.contains(&number(*vsid))) else { return };
        self.numbers.remove(number(vsid)..=number(vsid));
        self.order.retain(|other| *other != vsid);
    }

    /// All of them, as numbers.
    pub(super) const fn numbers(&self) -> &RangeInclusiveSet<u128> {
        &self.numbers
    }

    /// All of them, the one that was given back longest ago first.
    pub(super) fn oldest(&self) -> impl Iterator<Item = Vsid> {
        self.order.iter().copied()
    }
}

fn number(vsid: Vsid) -> u128 {
    vsid.get().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_ends_its_rest_beyond_the_limit() {
        let vsid = |number: usize| Vsid::new(4096 + u32::try_from(number).unwrap()).unwrap();
        let mut retired = Retired::default();
        (0..=MAX_RETIRED).for_each(|number| retired.add(Some(vsid(number))));
        assert_eq!(retired.oldest().count(), MAX_RETIRED);
        assert_eq!(retired.oldest().next(), Some(vsid(1)));
        assert!(!retired.numbers().contains(&number(vsid(0))) && retired.numbers().contains(&number(vsid(1))));
        retired.add(Some(vsid(1)));
        assert_eq!(retired.oldest().next(), Some(vsid(2)), "its rest begins anew");
        assert_eq!(retired.oldest().count(), MAX_RETIRED);
        retired.withdraw(Some(vsid(2)));
        assert_eq!(retired.oldest().next(), Some(vsid(3)));
    }
}
