//! What hosts are asked.

use super::{Client, ClientError};
use crate::fabric::asking::AskedPorts;
use crate::fabric::{Answer, Question, paths};
use hyper::Method;

impl Client {
    /// See [`crate::fabric::FabricApi::ask`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn ask(&self, question: &Question) -> Result<Answer, ClientError> {
        match question {
            Question::Counters { tenant, ports } => {
                let asked = AskedPorts { ports: ports.clone() };
                self.send_json(Method::POST, &paths::below_tenant(paths::COUNTERS, tenant, None), &asked)
                    .map(Answer::Counters)
            }
            Question::Host { host } => self.get_json(&paths::below_host(paths::HOST_STATUS, host)).map(Answer::Host),
            Question::Tunnels { host } => self.get_json(&paths::below_host(paths::TUNNELS, host)).map(Answer::Tunnels),
            Question::Leases { tenant, vm_subnet } => {
                self.get_json(&paths::below_tenant(paths::LEASES, tenant, Some(vm_subnet))).map(Answer::Leases)
            }
            Question::Trace { tenant, packet } => {
                let port = packet.from.parse().map_err(|error: model::fabric::ResourceNameError| {
                    crate::Problem::bad_request(format!("the packet is from no port: {error}"))
                })?;
                let path = paths::below_tenant(paths::PORT_TRACE, tenant, Some(&port));
                self.send_json(Method::POST, &path, packet).map(Answer::Trace)
            }
        }
    }
}
