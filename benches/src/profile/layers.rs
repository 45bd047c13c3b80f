//! What a sample was at, in the terms of a packet's way: which BPF program and which helper of the kernel it called, or
//! which part of the kernel's own network stack.

/// Where a sample was.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place {
    /// A BPF program's name, or a part of the kernel.
    pub(super) layer: String,
    /// In a program: the function of it, and what that called; elsewhere the kernel's function.
    pub(super) detail: String,
}

/// How functions of BPF programs are called: this, a tag of 16 digits, an underscore, the name. The kernel's own functions
/// may begin like that too.
const PROGRAM: &str = "bpf_prog_";
const TAG: usize = 16;

/// Kernel functions, and what they are of. The innermost that a sample is inside of says where it was.
const LAYERS: [(&str, &[&str]); 17] = [
    ("idle", &["pv_native_safe_halt", "default_idle", "acpi_safe_halt", "intel_idle", "do_idle"]),
    ("netfilter", &["nf_hook_slow", "nf_conntrack_in", "br_nf_pre_routing", "br_nf_forward", "br_nf_post_routing"]),
    ("bridge", &["br_handle_frame", "br_forward", "br_handle_frame_finish", "br_dev_queue_push_xmit"]),
    ("VXLAN device", &["vxlan_xmit", "vxlan_rcv", "udp_queue_rcv_one_skb", "gro_cell_poll"]),
    ("redirection", &["skb_do_redirect", "__bpf_redirect", "bpf_out_neigh_v4", "bpf_out_neigh_v6"]),
    ("forwarding", &["ip_forward", "ip_forward_finish", "ip_route_input_slow", "ip_route_input_noref"]),
    ("GRO", &["dev_gro_receive", "napi_gro_receive", "gro_receive_skb", "napi_gro_flush", "gro_complete"]),
    ("segmentation", &["__skb_gso_segment", "skb_mac_gso_segment", "validate_xmit_skb"]),
    (
        "giving back memory",
        &["skb_defer_free_flush", "kfree_skb_reason", "sk_skb_reason_drop", "consume_skb", "__kfree_skb"],
    ),
    (
        "the VM's IP and transport",
        &["ip_rcv", "ip_list_rcv", "ip_local_deliver", "tcp_v4_rcv", "udp_rcv", "ip_rcv_finish"],
    ),
    (
        "steering to the other CPU",
        &["get_rps_cpu", "enqueue_to_backlog", "net_rps_send_ipi", "net_rps_action_and_irq_enable"],
    ),
    ("veth and its queue", &["veth_xmit", "veth_poll", "process_backlog", "__netif_receive_skb_core", "__netif_rx"]),
    ("sending over a device", &["__dev_queue_xmit", "dev_hard_start_xmit", "sch_direct_xmit", "ip_finish_output2"]),
    ("switching of threads", &["__schedule", "schedule", "finish_task_switch", "try_to_wake_up", "schedule_idle"]),
    ("softirq", &["net_rx_action", "handle_softirqs", "__do_softirq"]),
    (
        "the sender's system call",
        &["__sys_sendmmsg", "__sys_sendto", "tcp_sendmsg", "packet_sendmsg", "udp_sendmsg", "ksys_write"],
    ),
    (
        "the receiver's system call",
        &["do_recvmmsg", "__sys_recvmmsg", "__sys_recvfrom", "tcp_recvmsg", "ksys_read", "do_sys_poll"],
    ),
];

/// Where a sample of a process was, of whose functions the innermost comes first.
pub(super) fn place(process: &str, functions: &[&str]) -> Place {
    if let Some(place) = in_program(functions) {
        return place;
    }
    let at = functions.first().copied().unwrap_or("unknown").to_owned();
    for function in functions {
        // The compiler marks what it has split off: `.constprop.0`, `.isra.0`, `.part.0`.
        let plain = function.split('.').next().unwrap_or(function);
        if let Some((layer, _)) = LAYERS.iter().find(|(_, names)| names.contains(&plain)) {
            return Place { layer: (*layer).to_owned(), detail: at };
        }
    }
    let ours = ["benches", "profile"].contains(&process);
    let layer = if ours { "the load generator".to_owned() } else { "elsewhere, other processes".to_owned() };
    Place { layer, detail: if ours { at } else { process.to_owned() } }
}

/// The same for what is inside of a BPF program: the program is the outermost function of the innermost run of its
/// functions, since functions of one program call each other directly.
fn in_program(functions: &[&str]) -> Option<Place> {
    let first = functions.iter().position(|function| name(function).is_some())?;
    let run = functions[first..].iter().map_while(|function| name(function));
    let (inner, layer) = (name(functions[first])?, run.last()?);
    // What the function called directly says what it was about; what that called in turn does not.
    let detail = match first.checked_sub(1) {
        Some(called) => format!("{inner} > {}", functions[called]),
        None => inner.to_owned(),
    };
    Some(Place { layer: layer.to_owned(), detail })
}

/// The name of a BPF function, without what the compiler adds for its parameters: `encapsulate_3C_54_3E_` is
/// `encapsulate`. None for a function of the kernel.
fn name(function: &str) -> Option<&str> {
    let (tag, name) = function.strip_prefix(PROGRAM)?.split_at_checked(TAG)?;
    let name = name.strip_prefix('_').filter(|_| tag.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    name.split("_3C_").next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(process: &str, functions: &[&str]) -> (String, String) {
        let place = place(process, functions);
        (place.layer, place.detail)
    }

    #[test]
    fn a_helper_belongs_to_the_program_that_called_it() {
        let functions = [
            "___slab_alloc",
            "pskb_expand_head",
            "bpf_skb_adjust_room",
            "bpf_prog_8cdeba77af6cc13e_encapsulate_3C_54_3E_",
            "bpf_prog_1224e234bbee5e25_carry_out_3C_54_3E_",
            "bpf_prog_d869f773c2f0879f_netvirt_port",
            "__netif_receive_skb_core.constprop.0",
        ];
        let expected = ("netvirt_port".to_owned(), "encapsulate > bpf_skb_adjust_room".to_owned());
        assert_eq!(at("benches", &functions), expected);
        assert_eq!(at("swapper", &functions[5..]), ("netvirt_port".to_owned(), "netvirt_port".to_owned()));
    }

    #[test]
    fn elsewhere_the_innermost_layer_counts() {
        let functions = ["memset", "veth_xmit", "dev_hard_start_xmit", "__dev_queue_xmit", "packet_sendmsg"];
        assert_eq!(at("benches", &functions), ("veth and its queue".to_owned(), "memset".to_owned()));
        assert_eq!(at("swapper", &["pv_native_safe_halt", "do_idle"]).0, "idle");
        assert_eq!(at("netvirt", &["bpf_check", "bpf_prog_load", "__sys_bpf"]).0, "elsewhere, other processes");
        assert_eq!(at("rustc", &["0x1234"]), ("elsewhere, other processes".to_owned(), "rustc".to_owned()));
    }
}
