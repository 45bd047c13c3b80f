//! Namespaces that go with the test.

use host::Namespace;

/// A namespace with a name drawn at random, deleted at the end of the test, also when it fails.
pub struct Scratch(pub Namespace);

impl Scratch {
    /// Makes one.
    pub fn new() -> Self {
        assert!(
            host::process::is_root(),
            "this test makes network namespaces and needs root: run it with sudo, or in a container with \
             --privileged"
        );
        let name = format!("nvt-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
        Self(Namespace::create(&name).expect("a namespace can be made"))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.name().expect("it was created by name")
    }
}

impl std::ops::Deref for Scratch {
    type Target = Namespace;
    fn deref(&self) -> &Namespace {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = Namespace::delete(self.name());
    }
}
