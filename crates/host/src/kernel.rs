//! Whether the running kernel has what the programs need, and the file system in which they are pinned.

use std::fs;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{FsType, statfs};

use crate::Error;

/// The oldest kernel that will do: tcx came with 6.6.
const OLDEST: (u32, u32) = (6, 6);
const OLDEST_TEXT: &str = "6.6";

/// Where the kernel offers its type information.
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// Where bpffs is mounted by convention.
pub const BPFFS_ROOT: &str = "/sys/fs/bpf";

/// BPF_FS_MAGIC of include/uapi/linux/magic.h.
const BPF_FS_MAGIC: FsType = FsType(0xcafe_4a11_u32 as _);

/// Refuses a kernel that is too old or has no type information.
///
/// # Errors
/// [`Error::KernelTooOld`], [`Error::NoBtf`], or what keeps /proc from being read.
pub fn check() -> Result<(), Error> {
    let path = "/proc/sys/kernel/osrelease";
    let release = fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })?;
    check_release(release.trim())?;
    if Path::new(BTF).exists() { Ok(()) } else { Err(Error::NoBtf(BTF.into())) }
}

/// Refuses a release that is too old.
fn check_release(release: &str) -> Result<(), Error> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else {
        return Err(Error::Unexpected { path: "/proc/sys/kernel/osrelease".into(), text: release.to_owned() });
    };
    if (major, minor) < OLDEST {
        return Err(Error::KernelTooOld { found: release.to_owned(), needed: OLDEST_TEXT });
    }
    Ok(())
}

/// Makes sure that `folder` is there and is in a bpffs. When it is beneath [`BPFFS_ROOT`] and no bpffs is mounted
/// there, one is mounted.
///
/// # Errors
/// When the folder is elsewhere and not in a bpffs, or mounting or making the folder is refused.
pub fn ensure_bpffs(folder: &Path) -> Result<(), Error> {
    let root = Path::new(BPFFS_ROOT);
    if folder.starts_with(root) && !is_bpffs(root) {
        mount(Some("bpf"), root, Some("bpf"), MsFlags::empty(), Some("mode=0700")).map_err(|error| Error::Bpffs {
            action: "mount a bpffs at",
            path: root.into(),
            source: error.into(),
        })?;
    }
    // Asked of what is there already, so that a folder elsewhere is not made in vain.
    let existing = folder.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(folder);
    if !is_bpffs(existing) {
        return Err(Error::NotBpffs { path: folder.into(), root: BPFFS_ROOT });
    }
    fs::create_dir_all(folder).map_err(|source| Error::Bpffs { action: "make the folder", path: folder.into(), source })
}

/// Whether the path is there and in a bpffs.
pub fn is_bpffs(path: &Path) -> bool {
    statfs(path).is_ok_and(|found| found.filesystem_type() == BPF_FS_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kernels_with_tcx_will_do() {
        for release in ["6.6", "6.6.0-rc1", "6.18.44-fc-v669", "7.0.1"] {
            assert!(check_release(release).is_ok(), "{release}");
        }
        for release in ["6.5.13", "6.1.0-25-amd64", "5.15.0"] {
            let text = check_release(release).unwrap_err().to_string();
            assert!(text.starts_with(&format!("Linux {release} is too old")), "{text}");
        }
        assert!(check_release("strange").is_err());
    }

    #[test]
    fn a_folder_elsewhere_is_refused_and_not_made() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("deep/down");
        let text = ensure_bpffs(&folder).unwrap_err().to_string();
        assert!(text.contains("is not in a bpffs") && text.contains(BPFFS_ROOT), "{text}");
        assert!(!scratch.path().join("deep").exists());
    }
}
