//! What was typed on the guided page, and what follows from it: everything that is left open is derived, everything that is
//! typed stands.

use std::net::IpAddr;

use ipnet::IpNet;
use model::LeaseTime;
use model::fabric::{AddressRange, IpPool, Isolation, Resource, ResourceName, VmNetwork, VmSubnet};
use model::security::{Action, IngressDefault};
use plan::fabric::{Proposal, overlap};

use crate::forms::Form;
use crate::layout::NO_NAME;

/// One subnet as it was typed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Row {
    /// Its name; made out of the network's if it is left empty.
    pub name: String,
    /// Its prefixes.
    pub prefixes: String,
    /// `no` for a subnet without a pool.
    pub pool: String,
    /// What the pool gives; what is proposed if it is left empty.
    pub ranges: String,
    /// DNS servers that DHCP tells of.
    pub dns: String,
}

impl Row {
    /// Whether nothing was typed; then there is no such subnet.
    pub fn is_empty(&self) -> bool {
        [&self.name, &self.prefixes, &self.ranges, &self.dns].into_iter().all(String::is_empty)
    }
}

/// All that was typed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Draft {
    pub name: String,
    pub logical_network: String,
    pub isolation: String,
    pub description: String,
    pub ingress: String,
    pub egress: String,
    pub rows: Vec<Row>,
}

/// Another subnet of the tenant, in another VM network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Other {
    pub network: ResourceName,
    pub subnet: ResourceName,
    pub prefixes: Vec<IpNet>,
}

/// A prefix of a subnet, and what is to be known of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    pub proposal: Proposal,
    /// As it was typed, if bits behind its length are cut off.
    pub typed: Option<IpNet>,
    /// Addresses that VMs can have and the pool does not give.
    pub left: u128,
    /// Prefixes of the same network that share addresses with it.
    pub clashes: Vec<IpNet>,
    /// Subnets in other networks of the tenant that share addresses with it, which is no mistake.
    pub also: Vec<ResourceName>,
}

/// A subnet that would be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subnet {
    pub name: String,
    pub parts: Vec<Part>,
    /// What its pool would give; none without one.
    pub ranges: Vec<AddressRange>,
}

/// What follows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Made {
    pub subnets: Vec<Subnet>,
    /// What would be created, if nothing is wrong.
    pub resources: Vec<Resource>,
    /// What cannot be read.
    pub problems: Vec<String>,
}

impl Draft {
    /// Reads a form.
    pub fn read(form: &Form) -> Self {
        let all = |name: &'static str| form.all(name).map(str::to_owned).collect::<Vec<_>>();
        let (names, prefixes, pools) = (all("subnet"), all("prefixes"), all("pool"));
        let (ranges, dns) = (all("ranges"), all("dns"));
        let cell = |column: &[String], row: usize| column.get(row).cloned().unwrap_or_default();
        let row = |row| Row {
            name: cell(&names, row),
            prefixes: cell(&prefixes, row),
            pool: cell(&pools, row),
            ranges: cell(&ranges, row),
            dns: cell(&dns, row),
        };
        let text = |name| form.text(name).to_owned();
        Self {
            name: text("name"),
            logical_network: text("logicalNetwork"),
            isolation: text("isolation"),
            description: text("description"),
            ingress: text("ingress"),
            egress: text("egress"),
            rows: (0..names.len().max(prefixes.len())).map(row).collect(),
        }
    }

    /// What follows from it. `tenant` owns it; `others` are the subnets that it has.
    pub fn made(&self, tenant: &ResourceName, others: &[Other]) -> Made {
        let mut made = Made::default();
        let network = read::<ResourceName>(&mut made.problems, "name", &self.name);
        let logical_network = read(&mut made.problems, "logicalNetwork", &self.logical_network);
        if let (Some(name), Some(logical_network)) = (&network, logical_network) {
            let spec = VmNetwork {
                logical_network,
                isolation: self.isolation(),
                rdid: None,
                security: self.security(),
                limits: model::Limits::default(),
                description: Some(self.description.clone()).filter(|text| !text.is_empty()),
            };
            made.resources.push(Resource::new(Some(tenant.clone()), name.clone(), spec));
        }
        self.subnets(tenant, network.as_ref(), 1, others, &mut made);
        made
    }

    /// The same of subnets that are added to a network that has so many already.
    pub fn added(&self, tenant: &ResourceName, network: &ResourceName, has: usize, others: &[Other]) -> Made {
        let mut made = Made::default();
        let named = Self { name: network.to_string(), ..self.clone() };
        named.subnets(tenant, Some(network), has + 1, others, &mut made);
        if made.subnets.is_empty() {
            made.problems.push("subnet: nothing is typed; give a prefix".to_owned());
        }
        made
    }

    /// The subnets; those without a name are numbered from `first`.
    fn subnets(
        &self,
        tenant: &ResourceName,
        network: Option<&ResourceName>,
        first: usize,
        others: &[Other],
        made: &mut Made,
    ) {
        for (index, row) in self.rows.iter().filter(|row| !row.is_empty()).enumerate() {
            self.subnet(tenant, network, row, index + first, made);
        }
        judge(&mut made.subnets, network, others);
        if !made.problems.is_empty() {
            made.resources.clear();
        }
    }

    fn isolation(&self) -> Isolation {
        Isolation::ALL.into_iter().find(|one| one.as_str() == self.isolation).unwrap_or_default()
    }

    fn security(&self) -> model::fabric::Security {
        let ingress = match self.ingress.as_str() {
            "allow" => IngressDefault::Allow,
            "deny" => IngressDefault::Deny,
            _ => IngressDefault::SameGroup,
        };
        let egress = if self.egress == "deny" { Action::Deny } else { Action::Allow };
        model::fabric::Security { egress, ingress }
    }

    /// One subnet with its pool.
    fn subnet(&self, tenant: &ResourceName, network: Option<&ResourceName>, row: &Row, number: usize, made: &mut Made) {
        let text = if row.name.is_empty() { format!("{}-{number}", self.name) } else { row.name.clone() };
        // Where the network has no name yet, that is said once.
        let derived = row.name.is_empty() && network.is_none();
        let name = if derived { None } else { read::<ResourceName>(&mut made.problems, "subnet", &text) };
        let prefixes: Vec<IpNet> = list(&mut made.problems, "prefixes", &row.prefixes);
        let mut ranges: Vec<AddressRange> = list(&mut made.problems, "ranges", &row.ranges);
        let dns_servers: Vec<IpAddr> = list(&mut made.problems, "dns", &row.dns);
        let proposals: Vec<Proposal> = prefixes.iter().map(|prefix| Proposal::of(*prefix)).collect();
        if row.pool == "no" {
            ranges.clear();
        } else if row.ranges.is_empty() {
            ranges = proposals.iter().filter_map(|proposal| proposal.pool).collect();
        }
        let part = |(typed, proposal): (&IpNet, &Proposal)| Part {
            proposal: *proposal,
            typed: (*typed != typed.trunc()).then_some(*typed),
            left: proposal.beside(&ranges),
            clashes: Vec::new(),
            also: Vec::new(),
        };
        let parts = prefixes.iter().zip(&proposals).map(part).collect();
        let shown = if derived { format!("{NO_NAME}-{number}") } else { text };
        made.subnets.push(Subnet { name: shown, parts, ranges: ranges.clone() });
        let (Some(network), Some(name)) = (network, name) else { return };
        let spec = VmSubnet {
            vm_network: network.clone(),
            // Bits behind the length are a slip of the hand here, where the prefix is shown beside it as it will be.
            prefixes: prefixes.iter().map(IpNet::trunc).collect(),
            vsid: None,
            vlan: None,
            gateways: Vec::new(),
            security_groups: Vec::new(),
        };
        made.resources.push(Resource::new(Some(tenant.clone()), name.clone(), spec));
        if ranges.is_empty() {
            return;
        }
        let Some(pool) = read::<ResourceName>(&mut made.problems, "pool", &format!("{name} pool")) else { return };
        let spec = IpPool {
            vm_subnet: name,
            ranges,
            reserved: Vec::new(),
            dns_servers,
            dns_suffixes: Vec::new(),
            routes: Vec::new(),
            lease_time: LeaseTime::default(),
        };
        made.resources.push(Resource::new(Some(tenant.clone()), pool, spec));
    }
}

/// Finds which prefixes share addresses.
fn judge(subnets: &mut [Subnet], network: Option<&ResourceName>, others: &[Other]) {
    let (beside, elsewhere): (Vec<&Other>, Vec<&Other>) =
        others.iter().partition(|other| Some(&other.network) == network);
    let all: Vec<(usize, usize, IpNet)> = subnets
        .iter()
        .enumerate()
        .flat_map(|(row, subnet)| {
            subnet.parts.iter().enumerate().map(move |(place, part)| (row, place, part.proposal.prefix))
        })
        .collect();
    for (row, subnet) in subnets.iter_mut().enumerate() {
        for (place, part) in subnet.parts.iter_mut().enumerate() {
            let prefix = part.proposal.prefix;
            let clash = all.iter().filter(|(other, at, _)| (*other, *at) != (row, place));
            let clash = clash.map(|(_, _, other)| *other).chain(beside.iter().flat_map(|other| other.prefixes.clone()));
            part.clashes = clash.filter(|other| overlap(&prefix, other)).collect();
            let also = elsewhere.iter().filter(|other| other.prefixes.iter().any(|theirs| overlap(&prefix, theirs)));
            part.also = also.map(|other| other.subnet.clone()).collect();
        }
    }
}

/// Reads a text; what is wrong with it is noted, with the field's name.
fn read<T: std::str::FromStr<Err: std::fmt::Display>>(
    problems: &mut Vec<String>,
    field: &str,
    text: &str,
) -> Option<T> {
    text.parse().map_err(|error| problems.push(format!("{field}: \"{text}\": {error}"))).ok()
}

/// The same of several, with blanks or commas between them.
fn list<T: std::str::FromStr<Err: std::fmt::Display>>(problems: &mut Vec<String>, field: &str, text: &str) -> Vec<T> {
    let words = text.split([' ', ',', '\n', '\r', '\t']).filter(|word| !word.is_empty());
    words.filter_map(|word| read(problems, field, word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ResourceName {
        text.parse().unwrap()
    }

    fn draft(rows: &str) -> Draft {
        Draft::read(&Form::read(format!("name=shop&logicalNetwork=TDIv2&isolation=vxlan&{rows}").as_bytes()))
    }

    #[test]
    fn what_is_left_open_is_derived() {
        let made = draft("subnet=&prefixes=10.1.1.9/24&pool=&ranges=&dns=").made(&name("blue"), &[]);
        assert_eq!(made.problems, [""; 0]);
        let text = model::fabric::resources_to_yaml(&made.resources).unwrap();
        for wanted in
            ["isolation: vxlan", "name: shop-1\n", "10.1.1.0/24", "name: shop-1 pool", "10.1.1.100-10.1.1.199"]
        {
            assert!(text.contains(wanted), "{wanted} is not in {text}");
        }
        assert_eq!(made.subnets[0].parts[0].left, 153);
        assert_eq!(made.subnets[0].parts[0].typed, Some("10.1.1.9/24".parse().unwrap()));
        let unnamed = Draft { name: String::new(), ..draft("subnet=&prefixes=10.1.1.0/24") }.made(&name("blue"), &[]);
        assert_eq!((unnamed.subnets[0].name.as_str(), unnamed.subnets[0].parts[0].typed), ("<NAME>-1", None));
    }

    #[test]
    fn what_is_typed_stands() {
        let rows = "subnet=web&prefixes=10.1.1.0/24,fd00::/64&pool=yes&ranges=10.1.1.50-10.1.1.60&dns=10.1.1.5\
                    &subnet=db&prefixes=10.1.2.0/24&pool=no&ranges=&dns=&subnet=&prefixes=&pool=&ranges=&dns=";
        let made = draft(rows).made(&name("blue"), &[]);
        let text = model::fabric::resources_to_yaml(&made.resources).unwrap();
        assert!(text.contains("10.1.1.50-10.1.1.60") && !text.contains("fd00::64"), "{text}");
        assert!(text.contains("name: web pool") && !text.contains("db pool"), "{text}");
        assert_eq!(made.resources.len(), 4);
    }

    #[test]
    fn overlaps_are_found() {
        let rows = "subnet=a&prefixes=10.1.1.0/24&subnet=b&prefixes=10.1.0.0/16";
        let other =
            Other { network: name("front"), subnet: name("web"), prefixes: vec!["10.1.1.0/25".parse().unwrap()] };
        let made = draft(rows).made(&name("blue"), &[other]);
        assert_eq!(made.subnets[0].parts[0].clashes, ["10.1.0.0/16".parse().unwrap()]);
        assert_eq!(made.subnets[1].parts[0].clashes, ["10.1.1.0/24".parse().unwrap()]);
        assert_eq!(made.subnets[0].parts[0].also, [name("web")]);
        assert_eq!(made.resources.len(), 5, "the controller refuses it, in its own words");
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_field() {
        let made = draft("subnet=a&prefixes=10.1.1.0/33&ranges=x&dns=y").made(&name("blue"), &[]);
        assert_eq!(made.problems.len(), 3);
        assert!(made.problems[0].starts_with("prefixes: \"10.1.1.0/33\": "), "{:?}", made.problems);
        assert!(made.resources.is_empty());
        let empty = Draft::default().made(&name("blue"), &[]);
        assert!(empty.problems[0].contains("a name is empty"), "{:?}", empty.problems);
    }
}
