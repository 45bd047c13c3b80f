//! What works in a compartment beside its devices, routes and rules: daemons, tunnels. Each kind is a [`Part`].
//!
//! A compartment has parts of its own, made when it is first carried out, and a thread of its own, which alone calls them: a
//! part need not think of other compartments, and one that waits for something holds up no other compartment.

use model::fabric::ResourceName;
use model::gateway::{Connection, ConnectionReport};

use crate::Place;

/// Something that works in one compartment. Its methods are called by one thread, one after the other.
pub trait Part: Send {
    /// Makes what is there what `place.compartment` says, and takes away what it does not say any more. It is called at the
    /// start of the process, when what is there is whatever an earlier process has left, and on each change. Devices, addresses,
    /// routes and rules of the compartment are there already. In a compartment that stands by, what need not run does not.
    /// It may not wait for the other side of anything: that is what [`Part::tend`] is for.
    fn settle(&mut self, place: &Place<'_>) -> Vec<Trouble>;

    /// Called about every second after [`Part::settle`]: what has died is started again, what is awaited is looked after. What
    /// it answers takes the place of what was answered last.
    fn tend(&mut self, place: &Place<'_>) -> Vec<Trouble>;

    /// Adds to the report of a connection what the part knows of it: the report has its name, and a state by the rules; a
    /// tunnel's or a BGP session's is set here. Connections that are not the part's are left alone.
    fn report(&mut self, place: &Place<'_>, connection: &Connection, report: &mut ConnectionReport);

    /// Ends everything, since the compartment is gone: processes, devices outside of its namespace. The namespace and the
    /// folder are deleted afterwards, and processes that are still in it are killed.
    fn remove(&mut self, place: &Place<'_>);
}

/// Something that keeps a compartment, or one connection of it, from its work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// The connection; none: the compartment.
    pub connection: Option<ResourceName>,
    /// What, as a sentence that says what to do.
    pub reason: String,
}

impl Trouble {
    /// A trouble of one connection.
    pub fn of(connection: &Connection, reason: impl Into<String>) -> Self {
        Self { connection: Some(connection.name.clone()), reason: reason.into() }
    }

    /// A trouble of the whole compartment.
    pub fn general(reason: impl Into<String>) -> Self {
        Self { connection: None, reason: reason.into() }
    }
}
