//! How many records of a subnet say what, so that the first and the last one of a kind are noticed without looking at
//! all others.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::{Key, LookupRecord, LookupRecordType, SharedKey, TranslationMethod, Vsid};

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
    /// The records of VMs that are elsewhere, by provider address.
    elsewhere: BTreeSet<(IpAddr, SharedKey)>,
}

impl Census {
    /// The counts of a subnet that has records.
    pub(super) fn of(&self, vsid: Vsid) -> Option<&Counts> {
        self.subnets.get(&vsid)
    }

    /// The first record that leads to a provider address which is not of this host.
    pub(super) fn leads_to(&self, provider: IpAddr) -> Option<&SharedKey> {
        let first = SharedKey::from(Key { kind: model::Kind::LookupRecord, name: String::new() });
        self.elsewhere.range((provider, first)..).next().filter(|(other, _)| *other == provider).map(|(_, key)| key)
    }

    /// Counts a record; whether the subnet is another one for it.
    pub(super) fn add(&mut self, key: &SharedKey, record: &LookupRecord, local: bool) -> bool {
        let counts = self.subnets.entry(record.vsid).or_default();
        let mut other = add(&mut counts.records);
        other |= record.record_type == LookupRecordType::L2Only && add(&mut counts.l2_only);
        other |= may_speak_v6(record) && add(&mut counts.v6);
        self.place(key, record, local) || other
    }

    /// No longer counts a record; whether the subnet is another one for it.
    pub(super) fn remove(&mut self, key: &SharedKey, record: &LookupRecord) -> bool {
        let mut other = self.place(key, record, true);
        let Some(counts) = self.subnets.get_mut(&record.vsid) else { return other };
        other |= record.record_type == LookupRecordType::L2Only && subtract(&mut counts.l2_only);
        other |= may_speak_v6(record) && subtract(&mut counts.v6);
        if subtract(&mut counts.records) {
            self.subnets.remove(&record.vsid);
            return true;
        }
        other
    }

    /// Notes whether the VM of a record is on this host; whether the subnet has a host more or less for it.
    pub(super) fn place(&mut self, key: &SharedKey, record: &LookupRecord, local: bool) -> bool {
        let entry = (record.provider_address, key.clone());
        let moved = if local { self.elsewhere.remove(&entry) } else { self.elsewhere.insert(entry) };
        // A frame to a group cannot be translated; only encapsulated does it keep its subnet.
        if !moved || record.rule != TranslationMethod::Encap {
            return false;
        }
        let Some(counts) = self.subnets.get_mut(&record.vsid) else { return false };
        let host = counts.hosts.entry(record.provider_address).or_default();
        if !local {
            return add(host);
        }
        let last = subtract(host);
        if last {
            counts.hosts.remove(&record.provider_address);
        }
        last
    }
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
