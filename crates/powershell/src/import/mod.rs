//! The way off Hyper-V: scripts, and what the Get- cmdlets of Windows hosts have written (Export-Clixml, Export-Csv, lists), become
//! resources of a controller.
//!
//! Everything becomes a script first, which runs over hosts in memory: so what is wrong in it is told as in any script, and
//! nothing is touched.

mod fabric;
mod written;

use std::collections::BTreeMap;

use crate::hosts::Console;
use crate::memory::{Host, Kept, Memory};
use crate::run::Shell;

pub use fabric::Imported;

/// A file to import.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name, for messages; its stem is the name of the host that it is of, where it is an output that says none.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// How to name what has no name.
#[derive(Clone, Debug)]
pub struct Options {
    /// The logical network that VM networks stand on.
    pub logical_network: String,
    /// The tenant of what names no customer.
    pub tenant: String,
}

/// The resources of a controller that files amount to.
///
/// # Errors
/// All that is wrong with the files.
pub fn resources(sources: &[Source], options: &Options) -> Result<Imported, Vec<String>> {
    let hosts = hosts(sources)?;
    fabric::resources(&hosts, options)
}

/// The hosts that files amount to, by their names; the one without a name is that of scripts which name none.
///
/// # Errors
/// All that is wrong with the files.
pub fn hosts(sources: &[Source]) -> Result<BTreeMap<String, Host>, Vec<String>> {
    let memory = Memory::open();
    let kept = Kept::default();
    for source in sources {
        let script = match written::script(&source.name, &source.text) {
            Some(script) => script.map_err(|error| vec![format!("{}: {error}", source.name)])?,
            None => source.text.clone(),
        };
        let mut shell = Shell::new(Box::new(memory.clone()), Box::new(Silent(kept.clone())));
        shell.file.clone_from(&source.name);
        match shell.parse(&script) {
            Ok(block) => {
                let ended = shell.run(&block, &[]);
                // Half of a script is no host.
                if ended.code != 0 && kept.complaints.borrow().is_empty() {
                    let name = &source.name;
                    return Err(vec![format!(
                        "{name}: the script gives up with code {}; mend what it tests",
                        ended.code
                    )]);
                }
            }
            Err(mistakes) => {
                return Err(mistakes.iter().map(|mistake| mistake.in_file(&source.name)).collect());
            }
        }
    }
    let complaints = kept.complaints.take();
    if complaints.is_empty() { Ok(memory.hosts()) } else { Err(complaints) }
}

/// Keeps complaints, and prints nothing.
struct Silent(Kept);

impl Console for Silent {
    fn print(&mut self, _: &str) {}

    fn complain(&mut self, text: &str) {
        self.0.complain(text);
    }

    fn confirm(&mut self, _: &str) -> Option<bool> {
        Some(true)
    }

    fn width(&self) -> Option<usize> {
        None
    }
}
