//! From hosts, each with its records and routes, to what a controller is told: tenants, VM networks, subnets, routes and ports.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use model::fabric::{self, Addressing, Isolation, ResourceName, Spec};
use model::{CustomerRoute, LookupRecord, LookupRecordType, MacAddress, RoutingDomainId, TranslationMethod, Vsid};

use super::Options;
use crate::memory::Host;

/// What files amount to.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// The resources, in an order in which they can be declared.
    pub resources: Vec<fabric::Resource>,
    /// What a controller is not told, in sentences.
    pub remarks: Vec<String>,
}

/// What the hosts say together.
#[derive(Default)]
struct Together {
    records: BTreeMap<String, LookupRecord>,
    routes: BTreeMap<String, CustomerRoute>,
    /// Provider addresses, and whose they are.
    owners: BTreeMap<IpAddr, String>,
    /// Whether a host has routers in its place.
    external_router: bool,
}

pub(super) fn resources(hosts: &BTreeMap<String, Host>, options: &Options) -> Result<Imported, Vec<String>> {
    let (mut together, mut wrong) = (Together::default(), Vec::new());
    for (name, host) in hosts {
        together.external_router |= host.intent.global().external_router;
        for provider in host.intent.provider_addresses() {
            together.owners.entry(provider.address).or_insert_with(|| name.clone());
        }
        for record in host.intent.lookup_records() {
            let key = model::Resource::LookupRecord(record.clone()).key().name;
            match together.records.get(&key) {
                Some(known) if known != record => wrong.push(format!("the hosts do not agree on lookup record {key}")),
                _ => drop(together.records.insert(key, record.clone())),
            }
        }
        for route in host.intent.customer_routes() {
            let key = model::Resource::CustomerRoute(route.clone()).key().name;
            together.routes.insert(key, route.clone());
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    Making { together: &together, options, imported: Imported::default() }.all().map_err(|error| vec![error])
}

struct Making<'a> {
    together: &'a Together,
    options: &'a Options,
    imported: Imported,
}

impl Making<'_> {
    fn all(mut self) -> Result<Imported, String> {
        let logical = name(&self.options.logical_network)?;
        self.remark(format!(
            "the VM networks stand on logical network {logical}; if there is none, create it with \"netvirt create logical-network \
             {logical} --network-virtualization\""
        ));
        let mut domains: BTreeMap<RoutingDomainId, BTreeSet<Vsid>> = BTreeMap::new();
        for route in self.together.routes.values() {
            domains.entry(route.rdid).or_default().insert(route.vsid);
        }
        let routed: BTreeSet<Vsid> = domains.values().flatten().copied().collect();
        let lost: BTreeSet<Vsid> =
            self.together.records.values().map(|it| it.vsid).filter(|it| !routed.contains(it)).collect();
        for vsid in lost {
            self.remark(format!(
                "VSID {vsid} has records and no customer route, so that nothing says which VM network it belongs to"
            ));
        }
        if self.together.external_router {
            self.remark(
                "-UseExternalRouter: a controller's hosts are the gateways of VM subnets; a VM with a gateway's address needs another one, \
                 and customer routes with it as next hop"
                    .to_owned(),
            );
        }
        let mut tenants = BTreeSet::new();
        for (rdid, vsids) in &domains {
            let tenant = self.tenant(vsids)?;
            if tenants.insert(tenant.clone()) && tenant != ResourceName::default_tenant() {
                let spec = Spec::Tenant(fabric::Tenant::default());
                self.imported.resources.push(fabric::Resource::new(None, tenant.clone(), spec));
            }
            self.network(*rdid, vsids, &tenant, &logical)?;
        }
        Ok(self.imported)
    }

    fn remark(&mut self, text: String) {
        self.imported.remarks.push(text);
    }

    /// Whose the records of subnets are.
    fn tenant(&mut self, vsids: &BTreeSet<Vsid>) -> Result<ResourceName, String> {
        let of_these = self.together.records.values().filter(|record| vsids.contains(&record.vsid));
        let customers: BTreeSet<RoutingDomainId> = of_these.filter_map(|record| record.customer_id).collect();
        let mut customers = customers.into_iter();
        let tenant = match customers.next() {
            Some(customer) => format!("customer-{}", customer.to_string().trim_matches(['{', '}']).replace('-', "")),
            None => self.options.tenant.clone(),
        };
        if let Some(other) = customers.next() {
            let vsid = vsids.first().map(ToString::to_string).unwrap_or_default();
            self.remark(format!("the VM network of VSID {vsid} has records of several customers; it is given to {tenant}, not to {other}"));
        }
        name(&tenant)
    }

    fn network(
        &mut self,
        rdid: RoutingDomainId,
        vsids: &BTreeSet<Vsid>,
        tenant: &ResourceName,
        logical: &ResourceName,
    ) -> Result<(), String> {
        let own = |name: &ResourceName, spec: Spec| fabric::Resource::new(Some(tenant.clone()), name.clone(), spec);
        let first = vsids.first().map(ToString::to_string).unwrap_or_default();
        let network = name(&format!("net-{first}"))?;
        let spec = fabric::VmNetwork {
            logical_network: logical.clone(),
            isolation: Isolation::Nvgre,
            rdid: Some(rdid),
            security: fabric::Security::default(),
            limits: model::Limits::default(),
            description: None,
        };
        self.imported.resources.push(own(&network, Spec::VmNetwork(spec)));
        for vsid in vsids {
            let prefixes: Vec<IpNet> =
                self.routes(rdid).filter(|it| it.vsid == *vsid && it.is_on_link()).map(|it| it.prefix).collect();
            if prefixes.is_empty() {
                self.remark(format!(
                    "VSID {vsid} has no on-link route, so that nothing says which prefix it has; it is left out"
                ));
                continue;
            }
            let spec = fabric::VmSubnet {
                vm_network: network.clone(),
                prefixes: prefixes.clone(),
                vsid: Some(*vsid),
                vlan: None,
                gateways: Vec::new(),
                security_groups: Vec::new(),
            };
            let subnet = name(&format!("vsid-{vsid}"))?;
            self.imported.resources.push(own(&subnet, Spec::VmSubnet(spec)));
            self.ports(*vsid, &prefixes, tenant, &network, &subnet)?;
        }
        let routes: Vec<CustomerRoute> = self.routes(rdid).filter(|route| !route.is_on_link()).cloned().collect();
        for (number, route) in (1..).zip(routes) {
            let spec = fabric::CustomerRoute {
                vm_network: network.clone(),
                prefix: route.prefix,
                next_hop: route.next_hop,
                metric: route.metric,
            };
            self.imported
                .resources
                .push(own(&name(&format!("net-{first}-route-{number}"))?, Spec::CustomerRoute(spec)));
        }
        Ok(())
    }

    fn routes(&self, rdid: RoutingDomainId) -> impl Iterator<Item = &CustomerRoute> {
        self.together.routes.values().filter(move |route| route.rdid == rdid)
    }

    fn ports(
        &mut self,
        vsid: Vsid,
        prefixes: &[IpNet],
        tenant: &ResourceName,
        network: &ResourceName,
        subnet: &ResourceName,
    ) -> Result<(), String> {
        let mut ports: BTreeMap<MacAddress, Vec<LookupRecord>> = BTreeMap::new();
        let gateways: Vec<IpAddr> = prefixes.iter().filter_map(|prefix| model::gateway_of(*prefix)).collect();
        for record in self.together.records.values().filter(|record| record.vsid == vsid) {
            let is_gateway = record.customer_address.is_some_and(|address| gateways.contains(&address));
            if !(record.names_no_host() && is_gateway) {
                ports.entry(record.mac).or_default().push(record.clone());
            }
        }
        for (mac, records) in ports {
            let called =
                records.iter().filter(|it| it.record_type != LookupRecordType::GatewayWildcard).chain(&records);
            let vm_name = called.filter_map(|record| record.vm_name.clone()).next();
            let port = name(&format!("{}-{vsid}", usable(vm_name.as_deref().unwrap_or(&mac.to_string()))))?;
            for record in &records {
                if record.rule != TranslationMethod::Encap {
                    self.remark(format!(
                        "port {port}: its record has a rule without encapsulation, which a controller does not declare"
                    ));
                }
                if record.record_type == LookupRecordType::GatewayWildcard {
                    self.remark(format!("port {port}: its wildcard record is left out; customer routes with it as next hop lead through it"));
                }
            }
            let addresses: Vec<IpAddr> = records
                .iter()
                .filter(|it| matches!(it.record_type, LookupRecordType::Static))
                .filter_map(|it| it.customer_address)
                .collect();
            let learnt = addresses.is_empty();
            let provider = records.first().map(|record| record.provider_address);
            let host = provider
                .and_then(|provider| self.together.owners.get(&provider))
                .filter(|host| !host.is_empty())
                .cloned();
            if host.is_none() {
                let provider = provider.map(|it| it.to_string()).unwrap_or_default();
                self.remark(format!("port {port}: no host is known to have provider address {provider}; plug it with \"netvirt set port {port} --host NAME\""));
            }
            let spec = fabric::Port {
                host: host.map(|host| name(&host)).transpose()?,
                vm_network: Some(network.clone()),
                vm_subnet: Some(subnet.clone()),
                mac: Some(mac),
                addresses,
                addressing: if learnt { Addressing::Learnt } else { Addressing::Pool },
                vm_name,
                ..fabric::Port::default()
            };
            let resource = fabric::Resource::new(Some(tenant.clone()), port, Spec::Port(spec));
            self.imported.resources.push(resource);
        }
        Ok(())
    }
}

fn name(text: &str) -> Result<ResourceName, String> {
    text.parse().map_err(|error: model::fabric::ResourceNameError| error.to_string())
}

/// A text with what no name has replaced.
fn usable(text: &str) -> String {
    let letters: String =
        text.chars().map(|it| if it.is_ascii_alphanumeric() || "._-".contains(it) { it } else { '-' }).collect();
    let trimmed = letters.trim_matches(|it: char| !it.is_ascii_alphanumeric());
    let kept: String = trimmed.chars().take(40).collect();
    if kept.is_empty() { "port".to_owned() } else { kept }
}
