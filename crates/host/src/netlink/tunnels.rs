//! Devices of tunnels: WireGuard's, and XFRM interfaces of IPsec.

use rtnetlink::LinkMessageBuilder;
use rtnetlink::LinkUnspec;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoXfrm};

use super::{Netlink, checked};
use crate::Error;

impl Netlink {
    /// Makes a WireGuard device of the kernel's, without keys. It is down.
    ///
    /// # Errors
    /// When the name is illegal or taken, or the kernel has no WireGuard, see [`Error::is_unsupported`].
    pub fn create_wireguard(&self, name: &str) -> Result<(), Error> {
        let builder = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(InfoKind::Wireguard).name(checked(name)?);
        let action = format!("make the WireGuard device {name}");
        self.requests.change(&action, RouteNetlinkMessage::NewLink(builder.build()), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Makes an XFRM interface: what is routed to it is encrypted by the policies of this number. It is down.
    ///
    /// # Errors
    /// When the name is illegal or taken, or the kernel has no such devices, see [`Error::is_unsupported`].
    pub fn create_xfrm(&self, name: &str, interface_id: u32) -> Result<(), Error> {
        let message = LinkMessageBuilder::<LinkUnspec>::new_with_info_kind(InfoKind::Xfrm)
            .name(checked(name)?)
            .set_info_data(InfoData::Xfrm(vec![InfoXfrm::IfId(interface_id)]))
            .build();
        let action = format!("make the XFRM interface {name}");
        self.requests.change(&action, RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
    }
}
