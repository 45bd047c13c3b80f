//! NetVirtualizationLookupRecord: where a customer address is.

use std::net::IpAddr;

use model::{Kind, LookupRecord, LookupRecordType, Resource, TranslationMethod};

use super::{INPUT, PASS_THRU, Sort, VSID, number, parsed};
use crate::cmdlets::Cmdlet;
use crate::cmdlets::bind::Bound;
use crate::cmdlets::parameter::{Parameter, Takes, guid_text, mac_text};
use crate::hosts::{Entry, Interface};
use crate::value::{Class, Value, View};

const PROPERTIES: &[&str] = &[
    "CustomerAddress",
    "VirtualSubnetID",
    "MACAddress",
    "ProviderAddress",
    "CustomerID",
    "Context",
    "Rule",
    "VMName",
    "UseVmMACAddress",
    "Type",
    "Unusable",
    "Unsynchronized",
];
const CLASS: Class = Class {
    name: "Microsoft.Management.Infrastructure.CimInstance#ROOT/StandardCimv2/MSFT_NetVirtualizationLookupRecordSettingData",
    view: View::List(PROPERTIES),
};
/// In the order of their numbers.
const RULES: [(&str, TranslationMethod); 3] = [
    ("TranslationMethodNat", TranslationMethod::Nat),
    ("TranslationMethodEncap", TranslationMethod::Encap),
    ("TranslationMethodNone", TranslationMethod::None),
];
const TYPES: [(&str, LookupRecordType); 4] = [
    ("Static", LookupRecordType::Static),
    ("Dynamic", LookupRecordType::Dynamic),
    ("GatewayWildcard", LookupRecordType::GatewayWildcard),
    ("L2Only", LookupRecordType::L2Only),
];
const RULE: Takes = Takes::Word(&["TranslationMethodNat", "TranslationMethodEncap", "TranslationMethodNone"]);
const TYPE: Takes = Takes::Word(&["Static", "Dynamic", "GatewayWildcard", "L2Only"]);
const NO_CUSTOMER: &str = "{00000000-0000-0000-0000-000000000000}";

pub(super) const SORT: Sort = Sort {
    noun: "NetVirtualizationLookupRecord",
    class: &CLASS,
    cim: "MSFT_NetVirtualizationLookupRecordSettingData",
    kind: Kind::LookupRecord,
    filters: PROPERTIES,
    properties,
    create,
    change,
};

pub(super) const CMDLETS: &[Cmdlet] = &[
    Cmdlet::new(
        "New-NetVirtualizationLookupRecord",
        "Says where a customer address is: the VM's MAC address, and its host's provider address.",
        &[
            Parameter::new("CustomerAddress", Takes::Address).must(),
            Parameter::new("VirtualSubnetID", VSID).must(),
            Parameter::new("MACAddress", Takes::Mac).must(),
            Parameter::new("ProviderAddress", Takes::Address).must(),
            Parameter::new("CustomerID", Takes::Guid),
            Parameter::new("Context", Takes::Text),
            Parameter::new("Rule", RULE).must(),
            Parameter::new("VMName", Takes::Text),
            Parameter::new("UseVmMACAddress", Takes::Boolean),
            Parameter::new("Type", TYPE),
        ],
        super::new,
    )
    .remote()
    .changing(),
    Cmdlet::new("Get-NetVirtualizationLookupRecord", "Shows lookup records.", FILTERS, super::get).remote(),
    Cmdlet::new(
        "Set-NetVirtualizationLookupRecord",
        "Changes lookup records that are chosen by address, subnet and MAC address, or given.",
        &[
            Parameter::new("CustomerAddress", Takes::Address).filter(),
            Parameter::new("VirtualSubnetID", VSID).filter(),
            Parameter::new("MACAddress", Takes::Mac).filter(),
            Parameter::new("ProviderAddress", Takes::Address),
            Parameter::new("CustomerID", Takes::Guid),
            Parameter::new("Context", Takes::Text),
            Parameter::new("Rule", RULE),
            Parameter::new("VMName", Takes::Text),
            Parameter::new("UseVmMACAddress", Takes::Boolean),
            INPUT,
            PASS_THRU,
        ],
        super::set,
    )
    .remote()
    .changing(),
    Cmdlet::new(
        "Remove-NetVirtualizationLookupRecord",
        "Removes lookup records; without filters all of them.",
        REMOVED,
        super::remove,
    )
    .remote()
    .changing(),
];

macro_rules! filters {
    ($($more:expr),*) => {
        &[
            Parameter::new("CustomerAddress", Takes::Address).filter(),
            Parameter::new("MACAddress", Takes::Mac).filter(),
            Parameter::new("VirtualSubnetID", VSID).filter(),
            Parameter::new("ProviderAddress", Takes::Address).filter(),
            Parameter::new("CustomerID", Takes::Guid).filter(),
            Parameter::new("Context", Takes::Text).filter(),
            Parameter::new("Rule", RULE).filter(),
            Parameter::new("VMName", Takes::Text).filter(),
            Parameter::new("UseVmMACAddress", Takes::Boolean).filter(),
            Parameter::new("Type", TYPE).filter(),
            Parameter::new("Unusable", Takes::Boolean).filter(),
            Parameter::new("Unsynchronized", Takes::Boolean).filter(),
            $($more),*
        ]
    };
}

const FILTERS: &[Parameter] = filters!();
const REMOVED: &[Parameter] = filters!(INPUT, PASS_THRU);

fn name_of<T: PartialEq + Copy>(words: &[(&'static str, T)], wanted: T) -> &'static str {
    words.iter().find(|(_, value)| *value == wanted).map_or("", |(name, _)| name)
}

fn value_of<T: Copy>(words: &[(&'static str, T)], bound: &Bound, parameter: &str) -> Option<T> {
    let name = bound.text(parameter)?;
    words.iter().find(|(word, _)| *word == name).map(|(_, value)| *value)
}

fn properties(entry: &Entry, _: &[Interface]) -> Vec<(&'static str, Value)> {
    let Resource::LookupRecord(record) = &entry.resource else { return Vec::new() };
    // A record of type L2Only has no address of its own, which Windows writes so.
    let customer = record.customer_address.map_or_else(
        || if record.provider_address.is_ipv6() { "::".to_owned() } else { "0.0.0.0".to_owned() },
        |address| address.to_string(),
    );
    vec![
        ("CustomerAddress", Value::text(customer)),
        ("VirtualSubnetID", Value::Integer(record.vsid.get().into())),
        ("MACAddress", Value::text(mac_text(record.mac))),
        ("ProviderAddress", Value::text(record.provider_address.to_string())),
        ("CustomerID", Value::text(record.customer_id.map_or_else(|| NO_CUSTOMER.to_owned(), guid_text))),
        ("Context", Value::text(record.context.clone().unwrap_or_default())),
        ("Rule", Value::text(name_of(&RULES, record.rule))),
        ("VMName", Value::text(record.vm_name.clone().unwrap_or_default())),
        ("UseVmMACAddress", Value::Boolean(false)),
        ("Type", Value::text(name_of(&TYPES, record.record_type))),
        ("Unusable", Value::Boolean(!entry.in_force)),
        ("Unsynchronized", Value::Boolean(!entry.synchronized)),
    ]
}

fn create(bound: &Bound, _: &[Interface]) -> Result<Resource, String> {
    let address: IpAddr = parsed(bound, "CustomerAddress")?;
    let declared = value_of(&TYPES, bound, "Type");
    let record_type = match declared {
        Some(declared) => declared,
        // In Windows Server 2012, which knew no types, a record of no address stood for all that have none.
        None if address.is_unspecified() => LookupRecordType::GatewayWildcard,
        None => LookupRecordType::Static,
    };
    if record_type == LookupRecordType::L2Only && !address.is_unspecified() {
        return Err(format!(
            "-CustomerAddress \"{address}\": a record of type L2Only has no address of its own; write 0.0.0.0 or ::"
        ));
    }
    let record = LookupRecord {
        vsid: parsed(bound, "VirtualSubnetID")?,
        customer_address: (record_type != LookupRecordType::L2Only).then_some(address),
        mac: parsed(bound, "MACAddress")?,
        provider_address: parsed(bound, "ProviderAddress")?,
        rule: value_of(&RULES, bound, "Rule").unwrap_or_default(),
        record_type,
        vm_name: None,
        customer_id: None,
        context: None,
        security_groups: Vec::new(),
    };
    with_values(record, bound)
}

fn change(resource: &Resource, bound: &Bound, _: &[Interface]) -> Result<Resource, String> {
    let Resource::LookupRecord(record) = resource else { return Ok(resource.clone()) };
    let mut record = record.clone();
    if bound.has("ProviderAddress") {
        record.provider_address = parsed(bound, "ProviderAddress")?;
    }
    if let Some(rule) = value_of(&RULES, bound, "Rule") {
        record.rule = rule;
    }
    with_values(record, bound)
}

/// What both New- and Set- set.
fn with_values(mut record: LookupRecord, bound: &Bound) -> Result<Resource, String> {
    let text = |name: &str| bound.text(name).map(|text| Some(text).filter(|text| !text.is_empty()));
    if let Some(name) = text("VMName") {
        record.vm_name = name;
    }
    if let Some(context) = text("Context") {
        record.context = context;
    }
    if bound.has("CustomerID") {
        let nil = bound.text("CustomerID").as_deref() == Some(NO_CUSTOMER);
        record.customer_id = if nil { None } else { Some(parsed(bound, "CustomerID")?) };
    }
    if bound.is_on("UseVmMACAddress") {
        return Err(
            "-UseVmMACAddress \"True\": netvirt sends with the MAC address of the uplink in any case; it takes $false"
                .to_owned(),
        );
    }
    debug_assert!(number::<u32>(bound, "VirtualSubnetID").is_none_or(|it| it >= 4096));
    Ok(Resource::LookupRecord(record))
}
