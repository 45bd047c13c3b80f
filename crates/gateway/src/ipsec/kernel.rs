//! Whether the kernel does ESP.

use host::{Namespace, Netlink};
use plan::gateway::ipsec::Esp;

/// Who is to do ESP in a namespace: the kernel if it has both ESP and XFRM interfaces, which are tried out, so that modules
/// are loaded that are there; charon else. It changes with the kernel alone.
pub(super) fn esp(namespace: &Namespace) -> Esp {
    let tried = has_esp(namespace) && Netlink::in_namespace(namespace).is_ok_and(|netlink| has_interfaces(&netlink));
    if tried { Esp::Kernel } else { Esp::Userspace }
}

/// Tries an SA between addresses that nobody has. By iproute2: the crates for netlink that the project stands on do not speak
/// of XFRM.
fn has_esp(namespace: &Namespace) -> bool {
    let of = "src 127.127.127.1 dst 127.127.127.2 proto esp spi 0x6e767401";
    let add = format!("xfrm state add {of} mode tunnel aead rfc4106(gcm(aes)) 0x{} 128", "5a".repeat(20));
    let run = |words: &str| {
        let mut command = namespace.command("ip");
        command.args(words.split(' ')).stdin(std::process::Stdio::null());
        command.output().is_ok_and(|output| output.status.success())
    };
    run(&add) && run(&format!("xfrm state delete {of}"))
}

/// Tries an XFRM interface of a number that no other has.
fn has_interfaces(netlink: &Netlink) -> bool {
    const PROBE: &str = "nvt-probe";
    netlink.create_xfrm(PROBE, 0x6e76).is_ok() && netlink.delete_link(PROBE).is_ok()
}
