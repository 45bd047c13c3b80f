//! What a host can be asked: the trait that an agent implements and that the server offers over HTTP.

use model::Kind;
use model::gateway::{GatewayBeat, GatewayReport};

use crate::{
    ChangeReport, ChangeSet, DropCounter, FlowFilter, FlowList, GatewayWork, HostStatus, InterfaceStatus, Item,
    PlugReport, PlugRequest, PortMemory, Problem, Remembered, TraceReport, TraceRequest, UnplugReport, UnplugRequest,
};

/// What a host can be asked.
///
/// The methods block; the server calls them on threads of their own, several at a time, so implementations
/// serialise what must not overlap.
///
/// # Errors
/// Each method answers with a [`Problem`], whose type decides the HTTP status.
pub trait HostApi: Send + Sync + 'static {
    /// The host itself.
    fn status(&self) -> Result<HostStatus, Problem>;

    /// All resources of a kind, in the order of their names.
    fn list(&self, kind: Kind) -> Result<Vec<Item>, Problem>;

    /// One resource; [`crate::ProblemType::NotFound`] if there is none of this name.
    fn get(&self, kind: Kind, name: &str) -> Result<Item, Problem>;

    /// Carries out all changes, or none.
    fn change(&self, changes: ChangeSet) -> Result<ChangeReport, Problem>;

    /// All counters of drops that are not 0.
    fn drops(&self) -> Result<Vec<DropCounter>, Problem>;

    /// Sets all counters of drops to 0.
    fn clear_drops(&self) -> Result<(), Problem>;

    /// The flows that meet a filter.
    fn flows(&self, filter: FlowFilter) -> Result<FlowList, Problem>;

    /// The interfaces of the host, in the order of their indices.
    fn interfaces(&self) -> Result<Vec<InterfaceStatus>, Problem>;

    /// Makes the device of a port, if it is not there, and waits until it is the port; a port that any host may plug comes to
    /// this host first. What is plugged already may be plugged again.
    fn plug(&self, request: PlugRequest) -> Result<PlugReport, Problem>;

    /// The opposite; without a port, of what is left of ports that are gone. What is not there may be unplugged again.
    fn unplug(&self, request: UnplugRequest) -> Result<UnplugReport, Problem>;

    /// What the host remembers of a port's VM, for the host that it moves to.
    fn port_memory(&self, port: &str) -> Result<PortMemory, Problem>;

    /// Takes in what another host remembers of a port's VM.
    fn remember(&self, port: &str, memory: PortMemory) -> Result<Remembered, Problem>;

    /// What the gateway of this host has to carry out. Answers at once if that is of another revision than `after`, else when
    /// it changes, and after [`crate::GATEWAY_WAIT`] in any case. Another question like it is answered at once then.
    fn gateway_work(&self, after: Option<u64>) -> Result<GatewayWork, Problem>;

    /// Takes in how it stands with the gateway of this host. To be said again every few seconds: what is old counts as nothing.
    fn report_gateway(&self, report: GatewayReport) -> Result<(), Problem>;

    /// Takes in a sign of life of the gateway of this host. It is said several times a second, where the gateway has other hosts.
    fn gateway_beat(&self, beat: GatewayBeat) -> Result<(), Problem>;

    /// What would become of a packet, decided by the function that the kernel runs over the tables that it reads.
    fn trace(&self, request: TraceRequest) -> Result<TraceReport, Problem>;
}
