//! A network namespace with nothing but its loopback device, for the tests of the generator.

use std::sync::atomic::{AtomicU32, Ordering};

use host::{Namespace, Netlink};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Deletes its name at the end of the test, also when it fails.
struct Named<'a>(&'a str);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        let _ = Namespace::delete(self.0);
    }
}

/// Runs a test inside of one.
pub(super) fn inside(test: impl FnOnce() + Send) {
    assert!(host::process::is_root(), "this test makes a network namespace and needs root");
    let name = format!("bench-test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let namespace = Namespace::create(&name).unwrap();
    let _named = Named(&name);
    Netlink::in_namespace(&namespace).unwrap().set_up("lo").unwrap();
    namespace.run(test).unwrap();
}
