//! Devices that stand on another device: its VLANs (IEEE 802.1Q), and further MAC addresses on it (macvlan).

use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoMacVlan, InfoVlan, LinkAttribute, MacVlanMode};
use rtnetlink::{LinkMessageBuilder, LinkUnspec};

use super::{Netlink, VethEnd, checked, end_message};
use crate::{Error, Namespace};

impl Netlink {
    /// Makes a device with a MAC address of its own on another one, in a namespace that may be another. Such devices of one
    /// lower device, and what lies behind it, reach one another (mode bridge); the lower device's own addresses they do not
    /// reach. It is down.
    ///
    /// # Errors
    /// [`Error::NoDevice`] for the lower one; what the kernel says: that the name is taken there, that the lower device is a
    /// bridge's port, or that it knows no such kind, see [`Error::is_unsupported`].
    pub fn create_macvlan(&self, device: VethEnd<'_>, lower: &str, namespace: &Namespace) -> Result<(), Error> {
        let builder = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(InfoKind::MacVlan);
        let message = end_message(builder, device)?
            .link(self.index(lower)?)
            .set_info_data(InfoData::MacVlan(vec![InfoMacVlan::Mode(MacVlanMode::Bridge)]))
            .setns_by_fd(namespace.raw())
            .build();
        let action = format!("make the macvlan device {} on device {lower}", device.name);
        self.requests.change(&action, RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Makes the device of a VLAN of another device. It is down.
    ///
    /// # Errors
    /// As [`Self::create_macvlan`].
    pub fn create_vlan(&self, name: &str, lower: &str, vlan: u16) -> Result<(), Error> {
        let message = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(InfoKind::Vlan)
            .name(checked(name)?)
            .link(self.index(lower)?)
            .set_info_data(InfoData::Vlan(vec![InfoVlan::Id(vlan)]))
            .build();
        let action = format!("make the device {name} of VLAN {vlan} of device {lower}");
        self.requests.change(&action, RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Gives a device another name. It may be up: names of such are changed since Linux 6.2.
    ///
    /// # Errors
    /// [`Error::NoDevice`], or what the kernel says (the name is taken, for example).
    pub fn rename(&self, name: &str, new_name: &str) -> Result<(), Error> {
        let attribute = LinkAttribute::IfName(checked(new_name)?.to_owned());
        self.set(name, &format!("name device {name} {new_name}"), |link| link.append_extra_attribute(attribute))
    }
}
