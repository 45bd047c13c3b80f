//! Routes of any table, told apart by who made them, and the rules that say which table is asked (`ip rule`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::Netlink;
use crate::Error;

/// A route of any table that some program has made and takes away again by itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TableRoute {
    /// Number of the table; 254 is the main one.
    pub table: u32,
    /// Where to, without host bits.
    pub to: IpNet,
    /// The next hop, which counts as on the device's link; absent: the destination itself is there.
    pub via: Option<IpAddr>,
    /// Number of the device.
    pub device: u32,
}

/// What a rule asks for a packet's route.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Asked {
    /// The table of this number.
    Table(u32),
    /// The rules from this priority on, which lie behind; those between are passed over.
    Rules(u32),
    /// Nothing: the search ends without a route.
    Nothing,
}

/// A rule about which table is asked for a packet's route.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PolicyRule {
    /// Whether it is about IPv6, else it is about IPv4.
    pub v6: bool,
    /// Rules with lower numbers are asked first. The kernel's own are 0 (local), 32766 (main) and, for IPv4, 32767 (default).
    pub priority: u32,
    /// The mark that the packet must have, and the bits of it that count.
    pub mark: Option<(u32, u32)>,
    /// What is asked.
    pub asks: Asked,
    /// Whether routes to everything (of prefix length 0) are passed over there.
    pub but_default: bool,
}

impl Netlink {
    /// The routes of all tables that carry this protocol number, which says who made them (rt_protos of iproute2).
    ///
    /// # Errors
    /// When the kernel refuses or the list cannot be had in one piece.
    pub fn routes_of(&self, protocol: u8) -> Result<Vec<TableRoute>, Error> {
        self.read_routes(|message| message.header.protocol == RouteProtocol::from(protocol))
    }

    /// The routes of one table, whoever made them.
    ///
    /// # Errors
    /// When the kernel refuses or the list cannot be had in one piece.
    pub fn routes_in(&self, table: u32) -> Result<Vec<TableRoute>, Error> {
        Ok(self.read_routes(|_| true)?.into_iter().filter(|route| route.table == table).collect())
    }

    /// The unicast routes among those that a test lets through.
    fn read_routes(&self, wanted: impl Fn(&RouteMessage) -> bool) -> Result<Vec<TableRoute>, Error> {
        let mut routes = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = RouteMessage::default();
            message.header.address_family = family;
            for answer in self.requests.dump("list the routes", RouteNetlinkMessage::GetRoute(message))? {
                let RouteNetlinkMessage::NewRoute(message) = answer else { continue };
                if message.header.kind == RouteType::Unicast && wanted(&message) {
                    routes.extend(route_of(&message));
                }
            }
        }
        Ok(routes)
    }

    /// Adds a route under a protocol number.
    ///
    /// # Errors
    /// What the kernel says; see [`Error::is_exists`].
    pub fn add_route_of(&self, protocol: u8, route: &TableRoute) -> Result<(), Error> {
        let action = format!("add the route to {} to table {}", route.to, route.table);
        let message = route_message(protocol, route);
        self.requests.change(&action, RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Deletes a route with this protocol number.
    ///
    /// # Errors
    /// What the kernel says; see [`Error::is_absent`].
    pub fn delete_route_of(&self, protocol: u8, route: &TableRoute) -> Result<(), Error> {
        let action = format!("delete the route to {} from table {}", route.to, route.table);
        self.requests.change(&action, RouteNetlinkMessage::DelRoute(route_message(protocol, route)), 0)
    }

    /// The rules of both families, those of the kernel itself included, as far as [`PolicyRule`] can say them.
    ///
    /// # Errors
    /// When the kernel refuses or the list cannot be had in one piece.
    pub fn rules(&self) -> Result<Vec<PolicyRule>, Error> {
        let mut rules = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = RuleMessage::default();
            message.header.family = family;
            for answer in self.requests.dump("list the routing rules", RouteNetlinkMessage::GetRule(message))? {
                if let RouteNetlinkMessage::NewRule(message) = answer {
                    rules.push(rule_of(&message));
                }
            }
        }
        Ok(rules)
    }

    /// Adds a rule.
    ///
    /// # Errors
    /// What the kernel says; see [`Error::is_exists`].
    pub fn add_rule(&self, rule: &PolicyRule) -> Result<(), Error> {
        let action = format!("add the routing rule of priority {}", rule.priority);
        let message = RouteNetlinkMessage::NewRule(rule_message(rule));
        self.requests.change(&action, message, NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Deletes a rule.
    ///
    /// # Errors
    /// What the kernel says; see [`Error::is_absent`].
    pub fn delete_rule(&self, rule: &PolicyRule) -> Result<(), Error> {
        let action = format!("delete the routing rule of priority {}", rule.priority);
        self.requests.change(&action, RouteNetlinkMessage::DelRule(rule_message(rule)), 0)
    }
}

/// The address in an attribute.
const fn address_in(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some(IpAddr::V4(*ip)),
        RouteAddress::Inet6(ip) => Some(IpAddr::V6(*ip)),
        _ => None,
    }
}

/// The route that a message describes; absent when it leads to no single device.
fn route_of(message: &RouteMessage) -> Option<TableRoute> {
    let everything = match message.header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        _ => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let (mut to, mut via, mut device, mut table) = (everything, None, None, u32::from(message.header.table));
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => to = address_in(address)?,
            RouteAttribute::Gateway(address) => via = address_in(address),
            RouteAttribute::Oif(index) => device = Some(*index),
            RouteAttribute::Table(number) => table = *number,
            _ => {}
        }
    }
    let to = IpNet::new(to, message.header.destination_prefix_length).ok()?;
    Some(TableRoute { table, to, via, device: device? })
}

/// The message that stands for a route.
fn route_message(protocol: u8, route: &TableRoute) -> RouteMessage {
    let mut message = match route.to.trunc() {
        IpNet::V4(to) => RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(to.addr(), to.prefix_len()).build(),
        IpNet::V6(to) => RouteMessageBuilder::<Ipv6Addr>::new().destination_prefix(to.addr(), to.prefix_len()).build(),
    };
    message.header.protocol = RouteProtocol::from(protocol);
    message.header.table = 0;
    message.attributes.push(RouteAttribute::Table(route.table));
    match route.via {
        Some(IpAddr::V4(via)) => message.attributes.push(RouteAttribute::Gateway(via.into())),
        Some(IpAddr::V6(via)) => message.attributes.push(RouteAttribute::Gateway(via.into())),
        None => message.header.scope = RouteScope::Link,
    }
    if route.via.is_some() {
        message.header.flags |= RouteFlags::Onlink;
    }
    message.attributes.push(RouteAttribute::Oif(route.device));
    message
}

/// The rule that a message describes.
fn rule_of(message: &RuleMessage) -> PolicyRule {
    let v6 = message.header.family == AddressFamily::Inet6;
    let mut rule = PolicyRule { v6, priority: 0, mark: None, asks: Asked::Nothing, but_default: false };
    let (mut mark, mut mask, mut table, mut rules) = (None, None, u32::from(message.header.table), 0);
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(priority) => rule.priority = *priority,
            RuleAttribute::FwMark(value) => mark = Some(*value),
            RuleAttribute::FwMask(value) => mask = Some(*value),
            RuleAttribute::Goto(priority) => rules = *priority,
            RuleAttribute::Table(number) => table = *number,
            RuleAttribute::SuppressPrefixLen(length) => rule.but_default = *length == 0,
            _ => {}
        }
    }
    // Of the mark 0 the kernel tells the mask alone.
    rule.mark = mark.or(mask.map(|_| 0)).map(|mark| (mark, mask.unwrap_or(u32::MAX)));
    rule.asks = match message.header.action {
        RuleAction::ToTable => Asked::Table(table),
        RuleAction::Goto => Asked::Rules(rules),
        _ => Asked::Nothing,
    };
    rule
}

/// The message that stands for a rule.
fn rule_message(rule: &PolicyRule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = if rule.v6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    message.attributes.push(RuleAttribute::Priority(rule.priority));
    if let Some((mark, mask)) = rule.mark {
        message.attributes.push(RuleAttribute::FwMark(mark));
        message.attributes.push(RuleAttribute::FwMask(mask));
    }
    match rule.asks {
        Asked::Table(table) => {
            message.header.action = RuleAction::ToTable;
            message.attributes.push(RuleAttribute::Table(table));
        }
        Asked::Rules(priority) => {
            message.header.action = RuleAction::Goto;
            message.attributes.push(RuleAttribute::Goto(priority));
        }
        Asked::Nothing => message.header.action = RuleAction::Unreachable,
    }
    if rule.but_default {
        message.attributes.push(RuleAttribute::SuppressPrefixLen(0));
    }
    message
}
