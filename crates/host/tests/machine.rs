//! The machine's own state: capabilities, kernel, bpffs.

mod common;

use std::path::Path;

use common::Scratch;
use host::capabilities::{self, Capability};
use host::kernel;

#[test]
fn this_kernel_will_do_and_a_folder_for_pins_can_be_had() {
    let scratch = Scratch::new();
    kernel::check().unwrap();
    let folder = Path::new(kernel::BPFFS_ROOT).join(scratch.name());
    kernel::ensure_bpffs(&folder).unwrap();
    assert!(kernel::is_bpffs(&folder));
    kernel::ensure_bpffs(&folder).unwrap();
    std::fs::remove_dir(&folder).unwrap();
    // Inside a namespace the same bpffs is seen.
    assert!(scratch.run(|| kernel::is_bpffs(Path::new(kernel::BPFFS_ROOT))).unwrap());
}

#[test]
fn a_process_without_capabilities_is_told_which() {
    let _root = Scratch::new();
    capabilities::require(&Capability::AGENT).unwrap();
    let missing = std::thread::spawn(|| {
        // SAFETY: capset with a header of version 3 and two empty data elements; it changes this thread alone.
        unsafe {
            let header = [0x2008_0522_u32, 0];
            let none = [0_u32; 6];
            assert_eq!(libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()), 0);
        }
        capabilities::require(&Capability::AGENT).unwrap_err().to_string()
    });
    let text = missing.join().unwrap();
    for name in ["CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_PERFMON", "CAP_BPF", "run netvirt as root"] {
        assert!(text.contains(name), "{name} is not in: {text}");
    }
}
