//! A site's DNS server: dnsmasq.

use lab::Node;

use super::Den;
use crate::stage::eventually;
use crate::tools::{Background, run_any};

/// A dnsmasq; it ends when this goes.
pub struct Dnsmasq {
    daemon: Background,
    _den: Den,
}

impl Dnsmasq {
    /// Starts one that answers for a zone alone, with these names, each with its address.
    #[track_caller]
    pub fn start(node: Node, zone: &str, names: &[(&str, &str)]) -> Self {
        let den = Den::new(node, &[]);
        let mut command = format!(
            "dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root --pid-file= \
             --log-facility=- --log-queries --local=/{zone}/"
        );
        for (name, address) in names {
            command += &format!(" --host-record={name}.{zone},{address}");
        }
        let daemon = den.start(&command);
        let node = den.node.clone();
        let answers = || run_any(&node, &format!("dig +time=1 +tries=1 @127.0.0.1 {zone}")).contains("status:");
        assert!(eventually(super::LIMIT, answers), "dnsmasq does not answer: {}", daemon.output());
        Self { daemon, _den: den }
    }

    /// What it was asked, and what it answered.
    pub fn log(&self) -> String {
        self.daemon.output()
    }
}
