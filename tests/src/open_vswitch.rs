//! Open vSwitch in user space as a host of a lab: a datapath that nobody here wrote.

use std::fs;
use std::path::{Path, PathBuf};

use lab::Node;

use crate::stage::{LIMIT, eventually};
use crate::tools::{Background, run};

/// Where Debian's package has the database's schema.
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// Open vSwitch of one host; its daemons end when this goes.
pub struct OpenVSwitch {
    host: Node,
    folder: PathBuf,
    command: String,
    _switch: Background,
    _database: Background,
}

impl OpenVSwitch {
    /// Starts the two daemons, whose database, sockets and logs are in a folder of their own, and two bridges: `br-phy` owns
    /// the uplink eth0 and the provider address (with its prefix's length), `br-int` has no port yet.
    pub fn start(host: Node, folder: &Path, provider: &str) -> Self {
        fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let inside = |name: &str| folder.join(name).display().to_string();
        let (conf, socket) = (inside("conf.db"), inside("db.sock"));
        run(&host, &format!("ovsdb-tool create {conf} {SCHEMA}"));
        let with = format!("env OVS_RUNDIR={}", folder.display());
        let database = Background::start(
            &host,
            &format!("{with} ovsdb-server {conf} --remote=punix:{socket} --unixctl={}", inside("ovsdb.ctl")),
        );
        assert!(eventually(LIMIT, || Path::new(&socket).exists()), "{}", database.output());
        let command = format!("ovs-vsctl --db=unix:{socket} --timeout=10");
        run(&host, &format!("{command} --no-wait init"));
        let switch =
            Background::start(&host, &format!("{with} ovs-vswitchd unix:{socket} --unixctl={}", inside("switch.ctl")));
        assert!(eventually(LIMIT, || Path::new(&inside("switch.ctl")).exists()), "{}", switch.output());
        let new = Self { host, folder: folder.to_owned(), command, _switch: switch, _database: database };
        for arguments in [
            "add-br br-phy -- set bridge br-phy datapath_type=netdev",
            "add-br br-int -- set bridge br-int datapath_type=netdev",
            "add-port br-phy eth0",
            "set interface br-phy mtu_request=1600",
            "set interface br-int mtu_request=1600",
        ] {
            new.vsctl(arguments);
        }
        run(&new.host, &format!("ip address del {provider} dev eth0"));
        run(&new.host, &format!("ip address add {provider} dev br-phy"));
        run(&new.host, "ip link set br-phy up");
        new
    }

    /// What `ovs-vsctl` does with these arguments.
    #[track_caller]
    pub fn vsctl(&self, arguments: &str) {
        run(&self.host, &format!("{} {arguments}", self.command));
    }

    /// Has a bridge forward by these flows alone.
    #[track_caller]
    pub fn set_flows(&self, bridge: &str, flows: &[String]) {
        let management = format!("unix:{}", self.folder.join(format!("{bridge}.mgmt")).display());
        run(&self.host, &format!("ovs-ofctl del-flows {management}"));
        for flow in flows {
            run(&self.host, &format!("ovs-ofctl add-flow {management} {flow}"));
        }
    }
}
