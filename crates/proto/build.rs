//! Compiles the .proto files; nothing yet.
fn main() {}
