//! Devices of a compartment, made what the layout says: missing ones are made, others changed, none replaced without need, since
//! with a device its routes and the flows' next packets go.

use host::{Link, LinkKind, Namespace, Netlink, VethEnd};
use ipnet::IpNet;
use model::gateway::{Gateway, Inside};
use model::{MacAddress, VlanId};
use plan::gateway::judgement::NO_CARRIER;
use plan::gateway::layout::{self, Device, ROUTE_PROTOCOL, Route, Rule};
use plan::gateway::{INSIDE, OUTSIDE};

use crate::Error;

/// The note at devices of the host that a gateway has made.
const NOTE: &str = "netvirt gateway";

/// The longest name of a device.
const DEVICE_NAME: usize = 15;

/// The device, when it is there.
pub fn found(netlink: &Netlink, name: &str) -> Result<Option<Link>, host::Error> {
    match netlink.link(name) {
        Ok(link) => Ok(Some(link)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes sure of the pair of devices by which a compartment is at its port.
///
/// # Errors
/// When the near end's name is another device's, or the kernel refuses.
pub fn ensure_inside(
    near: &Netlink,
    far: &Netlink,
    namespace: &Namespace,
    inside: &Inside,
    mtu: Option<u32>,
) -> Result<(), Error> {
    let mac = inside.mac.octets();
    let device = inside.device.as_str();
    let end = |name, mac| VethEnd { name, mac, mtu };
    // A pair that no gateway has made is somebody else's, whatever its name; but for one that leads here.
    if let Some(old) = found(near, device)? {
        let leads_here = || found(far, INSIDE).map(|link| link.is_some_and(|link| old.lower == Some(link.index)));
        if old.kind != LinkKind::Veth || (old.alias.as_deref() != Some(NOTE) && !leads_here()?) {
            return Err(Error::Foreign(old.name));
        }
    }
    ensure_pair(near, far, namespace, end(device, None), end(INSIDE, Some(mac)))?;
    let far_end = far.link(INSIDE)?;
    if far_end.mac != Some(mac) {
        far.set_mac(INSIDE, mac)?;
    }
    let near_end = near.link(device)?;
    if near_end.alias.as_deref() != Some(NOTE) {
        near.set_alias(device, NOTE)?;
    }
    if let Some(mtu) = mtu {
        for (netlink, link) in [(near, &near_end), (far, &far_end)] {
            if link.mtu != mtu {
                netlink.set_mtu(&link.name, mtu)?;
            }
        }
    }
    if !near_end.up {
        near.set_up(device)?;
    }
    Ok(())
}

/// Makes sure of a pair of devices between two namespaces. A pair that leads elsewhere is made anew.
///
/// # Errors
/// When the near end's name is another device's, or the kernel refuses.
pub fn ensure_pair(
    near: &Netlink,
    far: &Netlink,
    namespace: &Namespace,
    near_end: VethEnd<'_>,
    far_end: VethEnd<'_>,
) -> Result<(), Error> {
    let (old_near, old_far) = (found(near, near_end.name)?, found(far, far_end.name)?);
    let paired = old_near
        .as_ref()
        .zip(old_far.as_ref())
        .is_some_and(|(near, far)| near.lower == Some(far.index) && far.lower == Some(near.index));
    if paired {
        return Ok(());
    }
    if let Some(old) = old_near {
        if old.kind != LinkKind::Veth {
            return Err(Error::Foreign(old.name));
        }
        delete(near, near_end.name)?;
    }
    // It may have gone with the near end.
    delete(far, far_end.name)?;
    near.create_veth(near_end, far_end, namespace)?;
    Ok(())
}

/// Deletes a device, if it is there.
pub fn delete(netlink: &Netlink, name: &str) -> Result<(), host::Error> {
    match netlink.delete_link(name) {
        Err(error) if !error.is_absent() => Err(error),
        _ => Ok(()),
    }
}

/// Makes sure of a compartment's device on the external interface, or on a VLAN of it.
///
/// # Errors
/// When the interface is not there, or the kernel lacks what is needed or refuses.
pub fn ensure_outside(
    near: &Netlink,
    far: &Netlink,
    namespace: &Namespace,
    gateway: &Gateway,
    vlan: Option<VlanId>,
    mac: Option<MacAddress>,
) -> Result<(), Error> {
    let lower = lower_device(near, gateway.interface.as_str(), vlan)?;
    let mac = mac.map(MacAddress::octets);
    match found(far, OUTSIDE)? {
        Some(link) if link.lower == Some(lower.index) => {
            if mac.is_some() && link.mac != mac {
                far.set_mac(OUTSIDE, mac.unwrap_or_default())?;
            }
            return Ok(());
        }
        Some(_) => delete(far, OUTSIDE)?,
        None => {}
    }
    let device = VethEnd { name: OUTSIDE, mac, mtu: None };
    near.create_macvlan(device, &lower.name, namespace).map_err(|error| match error {
        error if error.is_unsupported() => Error::NoMacvlans,
        error => error.into(),
    })
}

/// What is wrong with the external interface, for the host as a whole: it is said also where no compartment needs it yet. One
/// that is down is set up for the first compartment.
pub fn external_trouble(near: &Netlink, interface: &str) -> Option<String> {
    match found(near, interface) {
        Ok(None) => Some(Error::NoInterface(interface.to_owned()).to_string()),
        Ok(Some(link)) => (link.up && !link.carrier).then(|| NO_CARRIER.to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// The device that compartments' devices outside stand on. It is set up.
fn lower_device(near: &Netlink, interface: &str, vlan: Option<VlanId>) -> Result<Link, Error> {
    let parent = found(near, interface)?.ok_or_else(|| Error::NoInterface(interface.to_owned()))?;
    if !parent.up {
        near.set_up(interface)?;
    }
    let Some(vlan) = vlan else { return Ok(parent) };
    let of_vlan = || -> Result<Option<Link>, host::Error> {
        Ok(near.links()?.into_iter().find(|link| link.vlan == Some((parent.index, vlan.get()))))
    };
    let device = match of_vlan()? {
        Some(device) => device,
        None => {
            let plain = format!("{interface}.{vlan}");
            let name = if plain.len() <= DEVICE_NAME { plain } else { format!("gwvlan{}.{vlan}", parent.index) };
            match near.create_vlan(&name, interface, vlan.get()) {
                Ok(()) => near.set_alias(&name, NOTE)?,
                // Another compartment's thread was faster.
                Err(error) if error.is_exists() => {}
                Err(error) if error.is_unsupported() => {
                    return Err(Error::NoVlans { interface: interface.to_owned(), vlan: vlan.get() });
                }
                Err(error) => return Err(error.into()),
            }
            of_vlan()?.ok_or(host::Error::NoDevice(name))?
        }
    };
    if !device.up {
        near.set_up(&device.name)?;
    }
    Ok(device)
}

/// Deletes the devices of VLANs that a gateway has made and that nothing stands on any more.
///
/// # Errors
/// What the kernel says.
pub fn sweep_vlans(near: &Netlink, interface: &str, used: &[VlanId]) -> Result<(), host::Error> {
    let links = near.links()?;
    let parent = links.iter().find(|link| link.name == interface).map(|link| link.index);
    for link in links.iter().filter(|link| link.alias.as_deref() == Some(NOTE)) {
        let in_use = |lower, vlan| Some(lower) == parent && used.iter().any(|used| used.get() == vlan);
        if link.vlan.is_some_and(|(lower, vlan)| !in_use(lower, vlan)) {
            delete(near, &link.name)?;
        }
    }
    Ok(())
}

/// Makes a device's addresses those that are wanted, and sets it up or down. Answers the addresses that it has lost and gained.
///
/// # Errors
/// What the kernel says.
pub fn settle_device(netlink: &Netlink, wanted: &Device) -> Result<Changes, host::Error> {
    settle_addresses(netlink, wanted.name, &wanted.addresses, wanted.up)
}

/// See [`settle_device`].
///
/// # Errors
/// What the kernel says.
pub fn settle_addresses(netlink: &Netlink, device: &str, wanted: &[IpNet], up: bool) -> Result<Changes, host::Error> {
    let link = netlink.link(device)?;
    let mut changes = Changes::default();
    if !up && link.up {
        netlink.set_down(device)?;
    }
    for address in link.addresses.iter().filter(|address| !wanted.contains(address)) {
        if is_of_the_kernel(address) {
            continue;
        }
        netlink.delete_address(device, *address)?;
        changes.lost.push(*address);
    }
    // A device that is down loses its IPv6 addresses, so it is set up before it is given any.
    if up && !link.up {
        netlink.set_up(device)?;
    }
    for address in wanted.iter().filter(|address| !link.addresses.contains(address)) {
        match netlink.add_address(device, *address) {
            Err(error) if !error.is_exists() => return Err(error),
            _ => changes.gained.push(*address),
        }
    }
    if up && !link.up {
        changes.gained = wanted.to_vec();
    }
    Ok(changes)
}

/// Addresses that went and came.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// Those that are gone, on this device at least.
    pub lost: Vec<IpNet>,
    /// Those that are new, or are usable again.
    pub gained: Vec<IpNet>,
}

impl Changes {
    /// The same, as if all of these had come.
    pub fn with_all(mut self, addresses: &[IpNet]) -> Self {
        self.gained = addresses.to_vec();
        self
    }
}

/// Whether it is link-local (RFC 4291, 2.5.6). The kernel gives such by itself, and finds no neighbor without one.
fn is_of_the_kernel(address: &IpNet) -> bool {
    matches!(address, IpNet::V6(net) if net.addr().is_unicast_link_local())
}

/// A route whose device is named.
pub type NamedRoute<'r> = (u32, IpNet, std::net::IpAddr, &'r str);

/// A layout's route, its device named.
pub const fn named(route: &Route) -> NamedRoute<'_> {
    (route.table, route.to, route.via, route.device)
}

/// Makes the gateway's routes in a namespace those that are wanted. Routes over devices that are not there are left out.
///
/// # Errors
/// What the kernel says.
pub fn settle_routes<'r>(
    netlink: &Netlink,
    wanted: impl IntoIterator<Item = NamedRoute<'r>>,
) -> Result<(), host::Error> {
    let links = netlink.links()?;
    let index = |device: &str| links.iter().find(|link| link.name == device && link.up).map(|link| link.index);
    let wanted: Vec<_> = wanted
        .into_iter()
        .filter_map(|(table, to, via, device)| {
            Some(host::TableRoute { table, to, via: Some(via), device: index(device)? })
        })
        .collect();
    let present = netlink.routes_of(ROUTE_PROTOCOL)?;
    for route in present.iter().filter(|route| !wanted.contains(route)) {
        match netlink.delete_route_of(ROUTE_PROTOCOL, route) {
            Err(error) if !error.is_absent() => return Err(error),
            _ => {}
        }
    }
    for route in wanted.iter().filter(|route| !present.contains(route)) {
        match netlink.add_route_of(ROUTE_PROTOCOL, route) {
            Err(error) if !error.is_exists() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Makes the routing rules of a namespace, but the kernel's own, those that are wanted, in both families.
///
/// # Errors
/// What the kernel says.
pub fn settle_rules(netlink: &Netlink, wanted: &[Rule]) -> Result<(), host::Error> {
    let wanted: Vec<_> = wanted
        .iter()
        .flat_map(|rule| {
            [false, true].map(|v6| host::PolicyRule {
                v6,
                priority: rule.priority,
                mark: rule.mark,
                asks: asked(rule.asks),
                but_default: rule.but_default,
            })
        })
        .collect();
    let present = netlink.rules()?;
    for rule in wanted.iter().filter(|rule| !present.contains(rule)) {
        match netlink.add_rule(rule) {
            Err(error) if !error.is_exists() => return Err(error),
            _ => {}
        }
    }
    let ours = |rule: &&host::PolicyRule| rule.priority != 0 && rule.priority < KERNEL_PRIORITIES;
    for rule in present.iter().filter(ours).filter(|rule| !wanted.contains(rule)) {
        match netlink.delete_rule(rule) {
            Err(error) if !error.is_absent() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// What a rule asks, as the kernel is told.
const fn asked(asked: layout::Asked) -> host::Asked {
    match asked {
        layout::Asked::Table(table) => host::Asked::Table(table),
        layout::Asked::Rules(priority) => host::Asked::Rules(priority),
        layout::Asked::Nothing => host::Asked::Nothing,
    }
}

/// The kernel's rules of the main and the default table have priorities from here on.
const KERNEL_PRIORITIES: u32 = 32_766;
