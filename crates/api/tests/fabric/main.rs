//! The controller's interface over real TLS on the loopback, in front of a fabric in memory: what each path answers, each
//! way in which a request can fail, and what becomes of clients that are slow, wrong or many.

mod access;
mod accounts;
mod asking;
mod client;
mod connections;
mod requests;
mod resources;
mod support;
mod watches;
