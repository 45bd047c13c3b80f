//! Addresses that VMs with records of type L2Only turned out to use: records of type Dynamic, which live as long as the
//! agent and as their L2Only record.

use std::collections::BTreeMap;
use std::net::IpAddr;

use model::{Change, Intent, LookupRecord, LookupRecordType, MacAddress, Resource, TranslationMethod, Vsid};
use pipeline::Learn;

/// Most addresses that are learnt of one MAC address; more are not believed.
pub const MAX_PER_MAC: usize = 16;

/// The learnt addresses.
#[derive(Default)]
pub struct Learnt(BTreeMap<(Vsid, IpAddr), MacAddress>);

impl Learnt {
    /// Notes an address; whether that is something new, of a VM that the intent lets learn.
    pub fn note(&mut self, learn: &Learn, declared: &Intent) -> bool {
        let (Ok(vsid), Ok(mac)) = (Vsid::new(learn.vsid), MacAddress::new(learn.mac)) else { return false };
        let address = plan::to_ip(learn.address);
        let known = self.0.values().filter(|known| **known == mac).count();
        if self.0.contains_key(&(vsid, address)) || known >= MAX_PER_MAC || l2_only(declared, vsid, mac).is_none() {
            return false;
        }
        self.0.insert((vsid, address), mac);
        true
    }

    /// The declared intent with all learnt records that do not contradict it; those that do are forgotten.
    pub fn merge(&mut self, declared: &Intent) -> Intent {
        let mut intent = declared.clone();
        self.0.retain(|(vsid, address), mac| {
            let Some(station) = l2_only(declared, *vsid, *mac) else { return false };
            let record = LookupRecord {
                vsid: *vsid,
                customer_address: Some(*address),
                mac: *mac,
                provider_address: station.provider_address,
                rule: TranslationMethod::Encap,
                record_type: LookupRecordType::Dynamic,
                vm_name: station.vm_name.clone(),
            };
            let record = Resource::LookupRecord(record);
            // What is declared is never replaced by what is heard.
            if intent.get(&record.key()).is_some() {
                return false;
            }
            match intent.with([Change::Set(record)]) {
                Ok(merged) => {
                    intent = merged;
                    true
                }
                Err(_) => false,
            }
        });
        intent
    }
}

/// The L2Only record of a MAC address.
fn l2_only(intent: &Intent, vsid: Vsid, mac: MacAddress) -> Option<&LookupRecord> {
    intent
        .lookup_records()
        .find(|record| record.record_type == LookupRecordType::L2Only && record.vsid == vsid && record.mac == mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> Intent {
        let text = "kind: lookup-record\nspec: {vsid: 5001, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11, type: L2Only}\n---\n\
                    kind: lookup-record\nspec: {vsid: 5001, customerAddress: 10.0.0.7, mac: 06-06-00-00-00-07, providerAddress: 192.168.4.11}";
        Intent::new(model::resources_from_yaml(text).unwrap()).unwrap()
    }

    fn learn(mac: u8, address: [u8; 4]) -> Learn {
        Learn {
            ifindex: 1,
            vsid: 5001,
            address: pipeline::Address::v4(address),
            mac: [6, 6, 0, 0, 0, mac],
            reserved: 0,
        }
    }

    #[test]
    fn an_address_is_learnt_once_and_only_of_whom_it_may() {
        let declared = declared();
        let mut learnt = Learnt::default();
        assert!(learnt.note(&learn(5, [10, 0, 0, 5]), &declared));
        assert!(!learnt.note(&learn(5, [10, 0, 0, 5]), &declared), "known already");
        assert!(!learnt.note(&learn(7, [10, 0, 0, 8]), &declared), "its record is Static");
        let merged = learnt.merge(&declared);
        assert_eq!(merged.lookup_records().filter(|r| r.record_type == LookupRecordType::Dynamic).count(), 1);
    }

    #[test]
    fn what_contradicts_a_declaration_is_forgotten_and_the_number_is_limited() {
        let declared = declared();
        let mut learnt = Learnt::default();
        learnt.note(&learn(5, [10, 0, 0, 7]), &declared);
        assert_eq!(learnt.merge(&declared), declared, "10.0.0.7 is another's");
        for last in 0..40 {
            learnt.note(&learn(5, [10, 0, 1, last]), &declared);
        }
        assert_eq!(learnt.merge(&declared).len(), declared.len() + MAX_PER_MAC);
    }
}
