//! A lab that does not outlive a scope.

use std::ops::{Deref, DerefMut};

use crate::{Lab, LabError, Topology, UpOptions};

/// A lab that is taken down at the end of the scope, also when a test in it fails.
#[derive(Debug)]
pub struct LabGuard(Lab);

impl LabGuard {
    /// Brings a lab up.
    ///
    /// # Errors
    /// Those of [`Lab::up`].
    pub fn up(topology: &Topology, options: UpOptions) -> Result<Self, LabError> {
        Lab::up(topology, options).map(Self)
    }
}

impl From<Lab> for LabGuard {
    fn from(lab: Lab) -> Self {
        Self(lab)
    }
}

impl Deref for LabGuard {
    type Target = Lab;
    fn deref(&self) -> &Lab {
        &self.0
    }
}

impl DerefMut for LabGuard {
    fn deref_mut(&mut self) -> &mut Lab {
        &mut self.0
    }
}

impl Drop for LabGuard {
    fn drop(&mut self) {
        match self.0.down() {
            // The test itself may have taken it down.
            Ok(()) | Err(LabError::NoLab(_)) => {}
            // There is nobody to return it to, and it must not be lost.
            Err(error) => eprintln!("{error}"),
        }
    }
}
