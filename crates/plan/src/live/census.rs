//! How many records of a subnet say what, so that the first and the last one of a kind are noticed without looking at
//! all others.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::{Key, LookupRecord, LookupRecordType, SharedKey, TranslationMethod, Vsid};

use crate::compile::Context;
use crate::compile::records::may_speak_v6;

/// What the records of one subnet say, and how many of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    pub(super) records: usize,
    pub(super) l2_only: usize,
    /// Those that show that IPv6 may be spoken.
    pub(super) v6: usize,
    /// Encapsulated records of VMs that are elsewhere, by the provider address of their host.
    pub(super) hosts: BTreeMap<IpAddr, usize>,
}

/// The records of an intent, counted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Census {
    subnets: BTreeMap<Vsid, Counts>,
    /// How many encapsulated records of VMs that are elsewhere there are, by provider address.
    encapsulated: BTreeMap<IpAddr, usize>,
    /// The other records of VMs that are elsewhere, by provider address. Not numbers, since a port decides where such a
    /// VM is, while its record stays.
    plain: BTreeSet<(IpAddr, SharedKey)>,
}

impl Census {
    /// The counts of a subnet that has records.
    pub(super) fn of(&self, vsid: Vsid) -> Option<&Counts> {
        self.subnets.get(&vsid)
    }

    /// Whether a record leads to a provider address which is not of this host.
    pub(super) fn leads_to(&self, provider: IpAddr) -> bool {
        let first = SharedKey::from(Key { kind: model::Kind::LookupRecord, name: String::new() });
        self.encapsulated.contains_key(&provider)
            || self.plain.range((provider, first)..).next().is_some_and(|(other, _)| *other == provider)
    }

    /// Counts a record; whether the subnet is another one for it.
    pub(super) fn add(&mut self, context: &Context, key: &SharedKey, record: &LookupRecord) -> bool {
        let counts = self.subnets.entry(record.vsid).or_default();
        let mut other = add(&mut counts.records);
        other |= record.record_type == LookupRecordType::L2Only && add(&mut counts.l2_only);
        other |= may_speak_v6(record) && add(&mut counts.v6);
        if record.rule != TranslationMethod::Encap {
            self.place(context, key, record);
        } else if !context.is_local(record) {
            // A frame to a group cannot be translated; only encapsulated does it keep its subnet.
            other |= add(counts.hosts.entry(record.provider_address).or_default());
            add(self.encapsulated.entry(record.provider_address).or_default());
        }
        other
    }

    /// No longer counts a record; whether the subnet is another one for it. The host's provider addresses must be those
    /// that it was counted with.
    pub(super) fn remove(&mut self, context: &Context, key: &SharedKey, record: &LookupRecord) -> bool {
        let Some(counts) = self.subnets.get_mut(&record.vsid) else { return false };
        let mut other = record.record_type == LookupRecordType::L2Only && subtract(&mut counts.l2_only);
        other |= may_speak_v6(record) && subtract(&mut counts.v6);
        if record.rule != TranslationMethod::Encap {
            self.plain.remove(&(record.provider_address, key.clone()));
        } else if !context.is_local(record) {
            other |= subtract_one(&mut counts.hosts, record.provider_address);
            subtract_one(&mut self.encapsulated, record.provider_address);
        }
        if subtract(&mut counts.records) {
            self.subnets.remove(&record.vsid);
            return true;
        }
        other
    }

    /// Notes whether the VM of a record that is not encapsulated is on this host.
    pub(super) fn place(&mut self, context: &Context, key: &SharedKey, record: &LookupRecord) {
        let entry = (record.provider_address, key.clone());
        if context.is_local(record) {
            self.plain.remove(&entry);
        } else {
            self.plain.insert(entry);
        }
    }
}

/// One less of one of many; whether it was the last.
fn subtract_one(counts: &mut BTreeMap<IpAddr, usize>, of: IpAddr) -> bool {
    let last = counts.get_mut(&of).is_some_and(subtract);
    if last {
        counts.remove(&of);
    }
    last
}

/// One more; whether it is the first.
const fn add(count: &mut usize) -> bool {
    *count += 1;
    *count == 1
}

/// One less; whether it was the last.
const fn subtract(count: &mut usize) -> bool {
    *count = count.saturating_sub(1);
    *count == 0
}
