//! The kernel programs of one host: loaded, pinned, attached, filled and read back.
//!
//! Everything lies in one folder of the BPF file system and outlives the process: the maps in `maps-LAYOUT/`, the links
//! that tie a program to a device in `links/`. Opening the folder again finds what is there.
//!
//! **Invariant:** aya's types do not cross the border of this crate, and nothing is decided here.

mod attach;
mod batch;
mod counters;
mod error;
mod events;
mod flows;
mod maps;
mod raw;
pub mod testrun;
mod travel;

use std::path::{Path, PathBuf};

use aya::programs::SchedClassifier;
use aya::{Ebpf, EbpfLoader};

pub use attach::{Attachment, Role};
pub use counters::SlotCounters;
pub use error::Error;
pub use events::{Events, Logs, Punt, Punts};
pub use maps::LAYOUT;
pub use travel::Taken;

/// The compiled kernel programs.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/netvirt-ebpf.o"));

/// The kernel programs and maps of one host.
pub struct Datapath {
    ebpf: Ebpf,
    folder: PathBuf,
}

impl Datapath {
    /// Loads the programs, with the maps that are pinned in `folder` of a BPF file system, or new ones.
    ///
    /// Nothing changes for packets: what is attached stays attached, with the maps that it has.
    ///
    /// # Errors
    /// When the folder cannot be made, or the kernel refuses a map or a program.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let maps = folder.join(format!("maps-{LAYOUT:08x}"));
        for path in [&maps, &folder.join("links")] {
            std::fs::create_dir_all(path).map_err(|source| Error::Folder { path: path.clone(), source })?;
        }
        let mut ebpf = EbpfLoader::new().default_map_pin_directory(&maps).load(OBJECT).map_err(Error::load)?;
        for role in Role::ALL {
            program(&mut ebpf, role)?.load().map_err(Error::program)?;
        }
        for name in [flows::SWEEP, travel::TAKE_FLOWS] {
            let program = ebpf.program_mut(name).ok_or(Error::Missing(name))?;
            let program: &mut SchedClassifier = program.try_into().map_err(Error::program)?;
            program.load().map_err(Error::program)?;
        }
        Ok(Self { ebpf, folder: folder.to_owned() })
    }

    /// Removes everything that is pinned in the folder: detaches the programs and forgets the tables.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove(folder: &Path) -> Result<(), Error> {
        match std::fs::remove_dir_all(folder) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Folder { path: folder.to_owned(), source })
            }
            _ => Ok(()),
        }
    }

    /// How many instructions the verifier walked through for a program, and how many it may (1,000,000).
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn verified_instructions(&mut self, role: Role) -> Result<u32, Error> {
        let info = program(&mut self.ebpf, role)?.info().map_err(Error::program)?;
        info.verified_instruction_count().ok_or(Error::Missing("the number of verified instructions"))
    }

    /// Removes maps of other versions of this program, once no link uses them any more.
    pub(crate) fn remove_other_layouts(&self) -> Result<(), Error> {
        let own = format!("maps-{LAYOUT:08x}");
        let io = |source| Error::Folder { path: self.folder.clone(), source };
        for entry in std::fs::read_dir(&self.folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("maps-") && name != own {
                std::fs::remove_dir_all(entry.path()).map_err(io)?;
            }
        }
        Ok(())
    }
}

/// The program of a role.
fn program(ebpf: &mut Ebpf, role: Role) -> Result<&mut SchedClassifier, Error> {
    let program = ebpf.program_mut(role.program()).ok_or(Error::Missing(role.program()))?;
    program.try_into().map_err(Error::program)
}
