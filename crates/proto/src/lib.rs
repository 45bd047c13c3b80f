//! The protocol between controller and agents.
