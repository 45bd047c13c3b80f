//! Both sides of the protocol over TLS on loopback, through the public interface.

mod asking;
mod claims;
mod common;
mod joining;
mod sessions;
