//! Who moves a VM when its network is ready: two QEMUs that are given orders, libvirt, or somebody else.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use model::MacAddress;
use qemu::{HandOverError, Moved, Qmp, Way};
use serde_json::Value;

use super::libvirt::Domain;
use crate::CliError;
use crate::args::Migrate;

/// The orders that are given.
pub(super) enum Orders {
    /// To the QEMU that the VM is in, and to the one that waits for it.
    Qmp {
        /// The former.
        source: Box<Qmp>,
        /// The latter.
        target: Box<Qmp>,
        /// The way between them.
        via: String,
    },
    /// To libvirt.
    Libvirt(Domain),
}

/// What has become of a VM that could not be moved.
pub(super) enum NotMoved {
    /// It runs where it was.
    Stayed(String),
    /// It runs nowhere.
    Lost(String),
    /// It may run at the other host.
    Unknown(String),
}

impl From<HandOverError> for NotMoved {
    fn from(error: HandOverError) -> Self {
        match error {
            HandOverError::Stayed { why } => Self::Stayed(why),
            HandOverError::Lost { why } => Self::Lost(why),
            error @ HandOverError::Unknown { .. } => Self::Unknown(error.to_string()),
        }
    }
}

impl Orders {
    /// The orders that were asked for, to those who are ready for them; none if somebody else gives them.
    pub(super) fn of(migrate: &Migrate, from: &str, mac: Option<MacAddress>) -> Result<Option<Self>, CliError> {
        let told = |why: String| CliError::Told(format!("the VM cannot be moved, and nothing was changed: {why}"));
        if let Some(domain) = &migrate.libvirt {
            let domain = Domain::new(domain, &migrate.uri, from, migrate.to.as_str(), &migrate.virsh);
            domain.ready().map_err(told)?;
            return Ok(Some(Self::Libvirt(domain)));
        }
        let (Some(source), Some(target), Some(via)) = (&migrate.qmp, &migrate.target_qmp, &migrate.via) else {
            return Ok(None);
        };
        let connect = |path| Qmp::connect(path).map(Box::new).map_err(|error| told(error.to_string()));
        let (mut source, mut target) = (connect(source)?, connect(target)?);
        let mac = mac.map(|mac| mac.to_string().replace('-', ":")).unwrap_or_default();
        qemu::ready(&mut source, &mut target, &mac).map_err(told)?;
        Ok(Some(Self::Qmp { source, target, via: via.clone() }))
    }

    /// Gives them, and waits until the VM has moved, or not. `interrupted` is heeded by QEMU's; virsh hears of it by itself.
    pub(super) fn give(self, limit: Duration, interrupted: &Arc<AtomicBool>) -> Result<Moved, NotMoved> {
        match self {
            Self::Qmp { mut source, mut target, via } => {
                // Bandwidth and aims are what whoever has started them has set.
                let way = Way { uri: via, parameters: Value::Null, limit, interrupted: Arc::clone(interrupted) };
                Ok(qemu::hand_over(&mut source, &mut target, &way, qemu::quit)?)
            }
            Self::Libvirt(domain) => domain.migrate(limit),
        }
    }
}
