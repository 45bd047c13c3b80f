//! Ports that any host may plug: what an agent asks for, and what comes of it.

use model::Name;
use uuid::Uuid;

/// A port comes to a host, or leaves it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// The port's UUID at the controller.
    pub uid: Uuid,
    /// The name that its device is to have, if the port leaves that open.
    pub device: Option<Name>,
    /// Whether it leaves: it was unplugged.
    pub release: bool,
}

/// How far a controller is with a claim.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Claimed {
    /// It is in force on all hosts that must know of it.
    Done,
    /// Not yet, for this reason. It is asked again.
    Pending(String),
    /// It cannot be, for this reason.
    Refused(String),
}

/// What a controller answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimAnswer {
    /// The number by which the agent knows its claim.
    pub number: u64,
    /// Why it cannot be; none when it is in force.
    pub refusal: Option<String>,
}
