//! Links: which program runs at which device. Pinned, so that they outlive the agent; replaced in place, so that no
//! packet finds none.

use std::collections::BTreeSet;
use std::path::PathBuf;

use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::tc::{SchedClassifierLink, TcAttachOptions};
use aya::programs::{LinkOrder, ProgramInfo, SchedClassifier, TcAttachType};

use crate::error::{Error, chain};
use crate::{Datapath, program};

/// What a program is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Frames that a VM sends.
    Port,
    /// Frames that come from the underlay.
    Uplink,
    /// Frames that leave by an uplink with physical networks behind it.
    Host,
}

impl Role {
    /// All.
    pub const ALL: [Self; 3] = [Self::Port, Self::Uplink, Self::Host];

    pub(crate) const fn program(self) -> &'static str {
        match self {
            Self::Port => "netvirt_port",
            Self::Uplink => "netvirt_uplink",
            Self::Host => "netvirt_host",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Port => "port",
            Self::Uplink => "uplink",
            Self::Host => "host",
        }
    }

    /// On which side of the device it runs.
    const fn side(self) -> TcAttachType {
        match self {
            Self::Port | Self::Uplink => TcAttachType::Ingress,
            Self::Host => TcAttachType::Egress,
        }
    }
}

/// A program at a device of the namespace that this thread is in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Attachment {
    /// Interface index of the device.
    pub ifindex: u32,
    /// Its name.
    pub device: String,
    /// Which program.
    pub role: Role,
}

impl Datapath {
    /// Makes the programs run at exactly these devices: attaches where one is missing, replaces in place one of another
    /// version, and detaches from all others. Says what it changed, a sentence each; nothing if all was right.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn reconcile(&mut self, wanted: &BTreeSet<Attachment>) -> Result<Vec<String>, Error> {
        let mut changed = Vec::new();
        for attachment in wanted {
            if let Some(change) = self.attach(attachment)? {
                changed.push(change);
            }
        }
        let keep: BTreeSet<String> = wanted.iter().map(file_name).collect();
        let folder = self.folder.join("links");
        let io = |source| Error::Folder { path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !keep.contains(&name) {
                std::fs::remove_file(entry.path()).map_err(io)?;
                changed.push(format!("detached {name}"));
            }
        }
        self.remove_other_layouts()?;
        Ok(changed)
    }

    /// Attaches the programs of some devices and detaches those of others, and leaves all else as it is; says what it
    /// changed, as [`Datapath::reconcile`] does, at a cost that does not depend on how many are attached elsewhere.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn move_programs(
        &mut self,
        come: &BTreeSet<Attachment>,
        gone: &BTreeSet<Attachment>,
    ) -> Result<Vec<String>, Error> {
        let mut changed = Vec::new();
        for attachment in come {
            changed.extend(self.attach(attachment)?);
        }
        for name in gone.iter().map(file_name) {
            let path = self.folder.join("links").join(&name);
            match std::fs::remove_file(&path) {
                Ok(()) => changed.push(format!("detached {name}")),
                // Somebody else took it away: the state is the one that was asked for.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::Folder { path, source }),
            }
        }
        Ok(changed)
    }

    /// Attaches one program, unless it is attached already.
    fn attach(&mut self, wanted: &Attachment) -> Result<Option<String>, Error> {
        let path = self.folder.join("links").join(file_name(wanted));
        let (device, role) = (&wanted.device, wanted.role.word());
        let program = program(&mut self.ebpf, wanted.role)?;
        let Ok(pinned) = PinnedLink::from_pin(&path) else {
            attach_new(program, wanted, path)?;
            return Ok(Some(format!("attached the {role} program to {device}")));
        };
        let link = FdLink::from(pinned);
        match running(&link, wanted)? {
            // The device is gone and another has its index: the link leads nowhere.
            None => {
                remove_pin(&path)?;
                attach_new(program, wanted, path)?;
                Ok(Some(format!("attached the {role} program to {device} anew")))
            }
            Some(info) if info.tag() == program.info().map_err(Error::program)?.tag() && same_maps(&info, program)? => {
                Ok(None)
            }
            Some(_) => {
                let refused = |error: &dyn std::error::Error| attach_error(wanted, chain(error));
                let link = SchedClassifierLink::try_from(link).map_err(|e| refused(&e))?;
                let id = program.attach_to_link(link).map_err(|e| refused(&e))?;
                // The pin still holds the link; this handle need not.
                drop(program.take_link(id).map_err(|e| refused(&e))?);
                Ok(Some(format!("replaced the {role} program of {device} by this version's")))
            }
        }
    }
}

/// The program that a link runs at the device; `None` if the device no longer has it.
fn running(link: &FdLink, wanted: &Attachment) -> Result<Option<ProgramInfo>, Error> {
    let id = link.info().map_err(|e| attach_error(wanted, chain(&e)))?.program_id();
    let (_, programs) =
        SchedClassifier::query_tcx(&wanted.device, wanted.role.side()).map_err(|e| attach_error(wanted, chain(&e)))?;
    Ok(programs.into_iter().find(|info| info.id() == id))
}

/// Whether a running program uses the maps that this version's does: a tag covers the instructions alone.
fn same_maps(info: &ProgramInfo, program: &SchedClassifier) -> Result<bool, Error> {
    let ids = |info: &ProgramInfo| -> Result<BTreeSet<u32>, Error> {
        Ok(info.map_ids().map_err(Error::program)?.unwrap_or_default().into_iter().collect())
    };
    // The map of notes for the frame at hand is each load's own.
    let (running, own) = (ids(info)?, ids(&program.info().map_err(Error::program)?)?);
    Ok(own.difference(&running).count() <= PRIVATE_MAPS)
}

/// How many maps of a program are not pinned, at most: `WORK`, and the constants that the compiler put aside, in sections of their
/// own for those of 8 bytes, of 16, and all others. Another layout of the maps makes dozens of others.
const PRIVATE_MAPS: usize = 4;

fn attach_new(program: &mut SchedClassifier, wanted: &Attachment, path: PathBuf) -> Result<(), Error> {
    let refused = |error: &dyn std::error::Error| attach_error(wanted, chain(error));
    // First in the list: what a VM sends is guarded before any other program sees it.
    let options = TcAttachOptions::TcxOrder(LinkOrder::first());
    let id = program.attach_with_options(&wanted.device, wanted.role.side(), options).map_err(|e| refused(&e))?;
    let link = program.take_link(id).map_err(|e| refused(&e))?;
    let link = FdLink::try_from(link).map_err(|e| refused(&e))?;
    link.pin(&path).map_err(|e| refused(&e))?;
    Ok(())
}

fn remove_pin(path: &PathBuf) -> Result<(), Error> {
    std::fs::remove_file(path).map_err(|source| Error::Folder { path: path.clone(), source })
}

fn attach_error(wanted: &Attachment, reason: String) -> Error {
    Error::Attach { device: wanted.device.clone(), reason }
}

/// Name of the file in which a link is pinned.
fn file_name(attachment: &Attachment) -> String {
    format!("{}-{}-{}", attachment.role.word(), attachment.ifindex, attachment.device)
}
