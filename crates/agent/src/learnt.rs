//! Addresses that VMs with records of type L2Only turned out to use: records of type Dynamic, which live as long as the
//! agent and as their L2Only record.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::{Intent, Key, Kind, LookupRecord, LookupRecordType, MacAddress, Resource, TranslationMethod, Vsid};
use pipeline::Learn;

/// Most addresses that are learnt of one MAC address of a subnet; more are not believed.
pub const MAX_PER_MAC: usize = 16;

/// The learnt addresses.
#[derive(Default)]
pub struct Learnt(BTreeMap<(Vsid, MacAddress), BTreeSet<IpAddr>>);

impl Learnt {
    /// The record of an address that was heard, if it is something new, of a VM that the intent lets learn.
    pub fn hear(&self, learn: &Learn, intent: &Intent) -> Option<LookupRecord> {
        let (vsid, mac) = (Vsid::new(learn.vsid).ok()?, MacAddress::new(learn.mac).ok()?);
        let address = plan::to_ip(learn.address);
        let many = self.0.get(&(vsid, mac)).is_some_and(|known| known.len() >= MAX_PER_MAC);
        // What is declared is never replaced by what is heard, and what was heard not by what another says.
        if many || intent.record_of(vsid, address).is_some() {
            return None;
        }
        record(intent, vsid, mac, address)
    }

    /// Remembers the address of a record.
    pub fn keep(&mut self, record: &LookupRecord) {
        self.0.entry((record.vsid, record.mac)).or_default().extend(record.customer_address);
    }

    /// Forgets the address of a record.
    pub fn forget(&mut self, record: &LookupRecord) {
        let Some(address) = record.customer_address else { return };
        let station = (record.vsid, record.mac);
        if let Some(known) = self.0.get_mut(&station) {
            known.remove(&address);
            if known.is_empty() {
                self.0.remove(&station);
            }
        }
    }

    /// Whether a resource of the intent was learnt.
    pub fn has(&self, resource: &Resource) -> bool {
        matches!(resource, Resource::LookupRecord(LookupRecord { vsid, mac, customer_address: Some(address), .. })
            if self.0.get(&(*vsid, *mac)).is_some_and(|known| known.contains(address)))
    }

    /// Whether nothing was learnt.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The addresses of a MAC address.
    pub fn of(&self, vsid: Vsid, mac: MacAddress) -> impl Iterator<Item = IpAddr> {
        self.0.get(&(vsid, mac)).into_iter().flatten().copied()
    }
}

/// The record of a learnt address; `None` if its MAC address has no record of type L2Only, or the address is declared.
pub fn record(intent: &Intent, vsid: Vsid, mac: MacAddress, address: IpAddr) -> Option<LookupRecord> {
    let mut records = intent.records_at(vsid, mac).map(|(_, record)| record);
    let station = records.find(|record| record.record_type == LookupRecordType::L2Only)?;
    Some(LookupRecord {
        vsid,
        customer_address: Some(address),
        mac,
        provider_address: station.provider_address,
        rule: TranslationMethod::Encap,
        record_type: LookupRecordType::Dynamic,
        vm_name: station.vm_name.clone(),
        customer_id: station.customer_id,
        context: station.context.clone(),
        security_groups: station.security_groups.clone(),
    })
}

/// The key of the record of an address.
pub fn key(vsid: Vsid, address: IpAddr) -> Key {
    Key { kind: Kind::LookupRecord, name: format!("{vsid}/{address}") }
}
