//! VSID 0: a port whose traffic is the host's own business, next to ports that are virtualized. Needs root.

use tests::stage::{Stage, example};
use tests::tools::{must_not_ping, must_ping, must_tcp, run};

#[test]
fn a_port_with_vsid_0_reaches_its_host_and_no_tenant() {
    let vm = "vms:\n  - {name: plain, host: H1, mac: 02-00-00-00-00-09, vsid: 0, addresses: [10.0.0.9/24]}";
    let stage = Stage::up(&example("blue-red.yaml").replace("vms:", vm));
    let (plain, host) = (stage.vm("plain"), stage.host(1));
    // What comes from the VM reaches the host's own stack, as on any veth.
    run(&host, "ip address add 10.0.0.1/24 dev plain");
    must_ping(&plain, "10.0.0.1");
    must_tcp(&plain, &host, "10.0.0.1");
    // Blue's and Red's VMs have addresses of the same prefix, and are elsewhere.
    must_not_ping(&plain, "10.0.0.5");
    must_not_ping(&plain, "10.0.0.7");
    must_ping(&stage.vm("blue1"), "10.0.0.7");
    assert_eq!(stage.json(1, "get drops plain"), serde_json::json!([]), "{}", stage.all_drops(1));
}
