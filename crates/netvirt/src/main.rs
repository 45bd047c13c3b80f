//! netvirt: network virtualization for Linux hosts.

fn main() {}
