//! netvirt: two VMs of one VM subnet, joined by one host or by an encapsulation, with security groups or without.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::groups;
use super::stage::{Design, LOCAL_MTU, MACS, PROVIDERS, Stage, VMS, mac_text};
use crate::Error;
use crate::measure::Scene;

/// Customer addresses of the VMs.
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 5), Ipv4Addr::new(10, 0, 0, 7)];
const VSID: u32 = 5001;
const RDID: &str = "{11111111-2222-3333-4444-000000005001}";

/// The netvirt that is measured: the one that NETVIRT_BIN names, or the one that was built beside this program.
///
/// # Errors
/// [`Error::NoNetvirt`].
pub fn program() -> Result<PathBuf, Error> {
    let beside = std::env::current_exe().map(|own| own.with_file_name("netvirt"));
    let path = match (std::env::var_os("NETVIRT_BIN"), beside) {
        (Some(path), _) => PathBuf::from(path),
        (None, Ok(path)) => path,
        (None, Err(_)) => PathBuf::from("netvirt"),
    };
    if path.is_file() { Ok(path) } else { Err(Error::NoNetvirt(path)) }
}

/// Which netvirt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variant {
    /// The contestant's letter.
    pub(super) letter: &'static str,
    /// The encapsulation; NVGRE where none is declared.
    pub(super) encapsulation: Option<&'static str>,
    /// Rules each way of the security group of both ports; 0 is none.
    pub(super) rules: usize,
}

impl Variant {
    /// Builds it.
    pub(super) fn raise(self, scene: Scene, program: Option<&PathBuf>) -> Result<Stage, Error> {
        let stage = self.design(scene, program).raise()?;
        if let (Some(program), 1..) = (program, self.rules) {
            groups::put(&stage, program, VSID, self.rules)?;
        }
        Ok(stage)
    }

    /// The lab.
    fn design(self, scene: Scene, program: Option<&PathBuf>) -> Design<'static> {
        let hosts = match scene {
            Scene::TwoHosts(_) => [PROVIDERS[0], PROVIDERS[1]],
            Scene::OneHost => [PROVIDERS[0]; 2],
        };
        let mut resources = "resources:\n".to_owned();
        for (index, provider) in hosts.into_iter().enumerate() {
            let (address, mac, vm) = (ADDRESSES[index], mac_text(MACS[index]), VMS[index]);
            resources += &format!(
                "  - kind: lookup-record\n    spec: {{vsid: {VSID}, customerAddress: {address}, mac: {mac}, \
                 providerAddress: {provider}, rule: TranslationMethodEncap, vmName: {vm}}}\n"
            );
        }
        resources += &format!(
            "  - kind: customer-route\n    spec: {{rdid: \"{RDID}\", vsid: {VSID}, prefix: 10.0.0.0/24, nextHop: 0.0.0.0, \
             metric: 255}}\n"
        );
        // Between hosts the agents say what fits.
        let mtu = match scene {
            Scene::TwoHosts(_) => String::new(),
            Scene::OneHost => format!(", mtu: {LOCAL_MTU}"),
        };
        if let Some(encapsulation) = self.encapsulation {
            resources +=
                &format!("  - kind: routing-domain\n    spec: {{rdid: \"{RDID}\", encapsulation: {encapsulation}}}\n");
        }
        Design {
            letter: self.letter,
            scene,
            agent: true,
            addresses: ADDRESSES,
            vm_fields: format!(", vsid: {VSID}{mtu}"),
            each_vm: [String::new(), String::new()],
            resources,
            program: program.cloned(),
        }
    }
}
