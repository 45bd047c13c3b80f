//! `netvirt libvirt`: ports of libvirt's domains.
//!
//! Which port an interface is, its own alias says, `ua-netvirt-UUID`, or the domain's metadata: libvirt keeps both with the
//! domain and takes both along when it moves. [`domain`] reads them, [`hook`] answers libvirt, [`hotplug`] asks it.

mod domain;
mod hook;
mod hotplug;

use api::Client;

use crate::CliError;
use crate::args::{LibvirtVerb, Output};
use crate::run::Streams;

/// Carries out one verb.
pub fn run(verb: &LibvirtVerb, client: &Client, output: Output, streams: &mut Streams<'_>) -> Result<(), CliError> {
    match verb {
        LibvirtVerb::Hook(hook) => hook::run(hook, client, streams),
        LibvirtVerb::Attach(attach) => hotplug::attach(attach, client, output, streams),
        LibvirtVerb::Detach(detach) => hotplug::detach(detach, client, streams),
    }
}
