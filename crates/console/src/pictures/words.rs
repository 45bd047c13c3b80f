//! What pictures say of their own, in the languages of the console. What users named is not among it.

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident: $english:literal, $chinese:literal;)*) => {
        /// The words of pictures in one language.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct Words {
            $($(#[$doc])* pub $name: &'static str,)*
        }

        impl Words {
            /// English.
            pub const ENGLISH: Self = Self { $($name: $english,)* };
            /// Chinese, in simplified letters.
            pub const CHINESE: Self = Self { $($name: $chinese,)* };

            /// All of them.
            #[cfg(test)]
            pub(super) fn all(&self) -> Vec<&'static str> {
                vec![$(self.$name,)*]
            }
        }
    };
}

words! {
    /// The router that joins the subnets of a VM network.
    router: "router", "路由器";
    /// VMs, after a number.
    vms: "VMs", "台虚拟机";
    /// One VM.
    vm: "VM", "台虚拟机";
    /// A subnet without any.
    no_vms: "no VMs yet", "暂无虚拟机";
    /// A VM network without any.
    no_subnets: "no subnets yet", "暂无子网";
    /// What is not shown, after a number.
    more: "more", "项未显示";
    /// Networks that are not shown, after a number.
    networks: "networks", "个网络";
    /// Subnets that are not shown, after a number.
    subnets: "subnets", "个子网";
    /// Connections that are not shown, after a number.
    connections: "connections", "个连接";
    /// A VM that is where it shall be.
    bound: "bound", "已绑定";
    /// A port whose VM nobody has seen.
    missing: "missing", "缺失";
    /// A VM on its way.
    moving: "moving", "迁移中";
    /// A connection that works.
    up: "up", "正常";
    /// One that is being set up.
    connecting: "connecting", "连接中";
    /// One that does not work.
    down: "down", "中断";
    /// One that stands ready.
    standby: "standby", "备用";
    /// Before the host that a gateway works on.
    active_on: "on", "位于";
    /// A gateway that no host carries.
    no_host: "no active host", "无活动主机";
    /// A gateway's role at a host.
    active: "active", "活动";
    /// Address translation.
    nat: "NAT", "NAT";
    /// A routed connection.
    routed: "routed", "路由";
    /// The healthy ones.
    well: "well", "健康";
    /// What was told and is not realized yet.
    lagging: "lagging", "滞后";
    /// Something is wrong with it.
    unfit: "unfit", "异常";
    /// Nobody hears of it.
    gone: "gone", "失联";
    /// An operator wants it empty.
    drained: "drained", "已排空";
    /// Nobody has heard of it yet.
    unknown: "unknown", "未知";
    /// Hosts, after a number.
    hosts: "hosts", "台主机";
    /// What hosts that have no group of their own are in.
    others: "others", "其他";
    /// The network between hosts.
    underlay: "underlay", "底层网络";
    /// Tunnels that are not shown, after a number.
    tunnels: "tunnels", "条隧道";
    /// Before the traffic inside of a group.
    within: "within", "组内";
    /// Addresses in use.
    given: "given out", "已分配";
    /// Addresses held back.
    reserved: "reserved", "保留";
    /// Addresses left.
    free: "free", "空闲";
    /// The gateway's address.
    gateway: "gateway", "网关";
    /// Of a map's cells, before how many addresses each stands for.
    each_cell: "one cell is", "每格";
    /// After that number.
    addresses: "addresses", "个地址";
    /// After one.
    address: "address", "个地址";
    /// Over the enlarged part of a map.
    detail: "in detail", "详情";
    /// A stage of a trace that let the packet through.
    passed: "passed", "通过";
    /// The one that dropped it.
    dropped: "dropped", "丢弃";
    /// The one that answered it.
    answered: "answered", "应答";
    /// Those behind.
    not_reached: "not reached", "未到达";
    /// The rest of a list, after a number.
    rest: "others", "项其他";
    /// A chart of nothing.
    nothing: "nothing counted", "暂无数据";
    /// The greatest value of a chart.
    most: "max", "峰值";
}

impl Words {
    /// A number of VMs.
    pub(super) fn count_vms(&self, number: u64) -> String {
        let word = if number == 1 { self.vm } else { self.vms };
        format!("{} {word}", super::number::grouped(number.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_say_everything() {
        for words in [Words::ENGLISH, Words::CHINESE] {
            assert!(words.all().iter().all(|word| !word.is_empty()));
        }
    }
}
