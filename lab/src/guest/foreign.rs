//! Guests that somebody else starts, libvirt for example, out of what the lab's own guests boot from.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::exec::Session;
use super::image;
use super::place::{EXEC_PORTS, Place};
use super::wire::PORT_NAME;
use crate::LabError;

/// A guest whose QEMU is not the lab's. Commands run in it when its QEMU has the channels that [`ForeignGuest::channels`] says.
#[derive(Clone, Debug)]
pub struct ForeignGuest(Place);

impl ForeignGuest {
    /// The kernel and the initramfs, which is made if it is not there.
    ///
    /// # Errors
    /// When this machine lacks what they are made of.
    pub fn boot_files() -> Result<(PathBuf, PathBuf), LabError> {
        let image = image::prepare()?;
        Ok((image.kernel, image.initramfs))
    }

    /// What its kernel is to be told beside where its console is; see the lab's own guests for the reasons.
    pub const KERNEL_WORDS: &str = "console=ttyS0 panic=-1 no_timer_check";

    /// One whose channels are in this folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self(Place::elsewhere(folder))
    }

    /// The virtio-serial ports that it needs: the name inside of it, and the name of the socket in the folder.
    pub fn channels() -> impl Iterator<Item = (String, String)> {
        (0..EXEC_PORTS).map(|port| (format!("{PORT_NAME}{port}"), format!("exec{port}")))
    }

    /// Runs a command in it, for at most `limit`: its exit code, and all that it printed.
    ///
    /// # Errors
    /// When the guest does not answer, or at the limit.
    pub fn output(&self, command: &[&str], limit: Duration) -> io::Result<(i32, String)> {
        Session::open(&self.0)?.output(command, limit)
    }
}
