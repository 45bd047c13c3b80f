//! What would become of a packet: asked of the host of its port, and then of each host that it comes to.

use std::net::IpAddr;

use api::fabric::{Trace, TraceEnd, TraceFate, TraceLeg};
use api::{HostAnswer, HostQuestion, HostTrace, Problem, TraceRequest};
use model::fabric::{Key, Kind, ResourceName, Spec};
use plan::fabric::host_port_name;

use super::{Asker, another, host_with, tenant};

/// Most hosts that a packet is followed to. One for a VM that has moved comes to three.
const MAX_LEGS: usize = 4;

impl Asker<'_> {
    pub(super) fn trace(&self, tenant: &ResourceName, packet: TraceRequest) -> Result<Trace, Problem> {
        let name: ResourceName = packet
            .from
            .parse()
            .map_err(|error| Problem::bad_request(format!("the packet is from no port: {error}")))?;
        let key = Key::new(Kind::Port, Some(tenant.clone()), name);
        let place = self.with(&key, |_, port| match &port.resource.spec {
            Spec::Port(spec) => spec.host.clone().zip(host_port_name(&key)),
            _ => None,
        })?;
        let Some((host, there)) = place else {
            return Err(Problem::unavailable(format!(
                "{key} is on no host, so nothing can be sent from it; it is plugged when its VM starts"
            )));
        };
        let question = HostQuestion::Trace { packet: TraceRequest { from: there.to_string(), ..packet } };
        let first = self.leg(&host, &question)?;
        Ok(self.follow(host, first))
    }

    /// What one host says.
    fn leg(&self, host: &ResourceName, question: &HostQuestion) -> Result<HostTrace, Problem> {
        match self.one(host, question) {
            Ok(HostAnswer::Trace(trace)) => Ok(*trace),
            Ok(_) => Err(self.told(host, another())),
            Err(silence) => Err(self.told(host, silence)),
        }
    }

    /// Follows a packet from a host to the others that it comes to.
    fn follow(&self, mut host: ResourceName, first: HostTrace) -> Trace {
        let (mut trace, mut next) = (Trace::default(), Some(first));
        while let Some(mut leg) = next.take() {
            let (remote, frame) = (leg.remote, leg.frame.take());
            let (fate, packet) = (leg.fate, leg.report.packet.clone());
            trace.legs.push(self.shown(&host, leg));
            let (TraceFate::ToHost, Some(remote), Some(frame)) = (fate, remote, frame) else { continue };
            let on = self.next_host(remote, trace.legs.len()).and_then(|to| {
                let leg = self.leg(&to, &HostQuestion::Arrival { frame, packet })?;
                host = to;
                Ok(leg)
            });
            match on {
                Ok(leg) => next = Some(leg),
                Err(problem) => trace.unfinished = Some(problem.detail),
            }
        }
        trace
    }

    fn next_host(&self, remote: IpAddr, legs: usize) -> Result<ResourceName, Problem> {
        if legs >= MAX_LEGS {
            return Err(Problem::unavailable(format!("the packet is followed to {MAX_LEGS} hosts, and not further")));
        }
        let host = host_with(&self.core.state().fabric, remote);
        host.ok_or_else(|| match self.whole() {
            true => Problem::unavailable(format!("no host of this controller has {remote}")),
            false => Problem::unavailable("it leaves the hosts of this fabric"),
        })
    }

    /// A leg as the caller is told of it.
    fn shown(&self, host: &ResourceName, leg: HostTrace) -> TraceLeg {
        let state = self.core.state();
        let port = leg.port.as_deref().and_then(|name| state.fabric.port_on_host(host, &name.parse().ok()?));
        // One that the caller may not see is none: the packet went to a gateway.
        let port = port.map(|port| port.key()).filter(|key| crate::access::sees(self.caller, key)).map(|key| key.name);
        if self.whole() {
            let end = TraceEnd { fate: leg.fate, port, remote: leg.remote };
            return TraceLeg { host: Some(host.clone()), report: leg.report, end };
        }
        tenant::leg(leg, port)
    }
}
