//! HNV administrators' scripts on Linux: the language of PowerShell as far as such scripts use it, the cmdlets of NetWNV and
//! those that stand beside them, and what they do at hosts.
//!
//! - [`syntax`] reads a script into a tree that has nothing in it but what can be carried out; the rest is told with file, line
//!   and column before anything runs.
//! - [`run`] carries it out, within bounds.
//! - [`cmdlets`] are what it can call; they see hosts through [`hosts::Hosts`] alone.
//! - [`render`] shows objects as PowerShell does.
//! - [`export`] writes the script that makes a host what it is; [`import`] makes netvirt's resources of scripts and of what
//!   the Get- cmdlets of Windows hosts have written.

pub mod cmdlets;
pub mod export;
pub mod hosts;
pub mod import;
pub mod memory;
pub mod render;
pub mod run;
pub mod syntax;
pub mod value;
