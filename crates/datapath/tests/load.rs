//! The kernel takes the programs, within the complexity that is promised.

use std::path::PathBuf;

use datapath::{Datapath, Role};

/// Most instructions that the verifier may walk through for one program; the kernel's own limit is 1,000,000.
const CEILING: u32 = 300_000;

/// A folder of pinned maps, removed however the test ends.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = Datapath::remove(&self.0) {
            eprintln!("{error}");
        }
    }
}

#[test]
fn the_verifier_takes_the_programs_well_below_its_limit() {
    host::kernel::ensure_bpffs(std::path::Path::new(host::kernel::BPFFS_ROOT)).unwrap();
    let folder =
        std::path::Path::new(host::kernel::BPFFS_ROOT).join(format!("netvirt-test-load-{}", std::process::id()));
    let folder = Folder(folder);
    let mut datapath = Datapath::open(&folder.0).unwrap();
    for role in Role::ALL {
        let count = datapath.verified_instructions(role).unwrap();
        println!("{role:?}: {count} instructions");
        assert!(count < CEILING, "{role:?} took the verifier {count} instructions");
    }
}
