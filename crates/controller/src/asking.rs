//! Questions that hosts answer, on demand, through their sessions.

use api::Problem;
use api::fabric::{Answer, Caller, Question};

use crate::core::Core;

/// Asks the hosts.
pub fn ask(_: &Core, _: &Caller, _: Question) -> Result<Answer, Problem> {
    Err(Problem::unavailable("this controller does not ask hosts yet"))
}
