//! The cmdlets.

pub mod bind;
mod core;
mod hyper_v;
mod net_adapter;
pub mod netwnv;
pub mod parameter;

use crate::run::{Emit, Failure, Shell, Stop};
use crate::syntax::tree::Place;
use crate::value::Value;
use bind::Bound;
use parameter::Parameter;

/// How a cmdlet takes what comes through the pipeline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// Once for each object, or once when it is the first of its pipeline.
    Each,
    /// Once, with all objects.
    All,
}

/// One call of a cmdlet.
pub struct Call<'c> {
    /// The cmdlet.
    pub cmdlet: &'static Cmdlet,
    /// Its parameters.
    pub bound: &'c Bound,
    /// Where the command stands.
    pub at: Place,
    /// What came through the pipeline: the object, or all of them; none when it is the first.
    pub input: Option<Vec<Value>>,
    /// How many objects came before this one.
    pub before: usize,
    /// The pipeline that it is in.
    pub pipeline: u64,
}

/// A cmdlet.
pub struct Cmdlet {
    /// Name.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// What it does, in a sentence.
    pub synopsis: &'static str,
    /// Its own parameters.
    pub parameters: &'static [Parameter],
    /// How it takes input.
    pub style: Style,
    /// Whether it changes something, and so takes `-WhatIf` and `-Confirm`.
    pub changes: bool,
    /// Whether it speaks to hosts, and so takes `-CimSession`.
    pub remote: bool,
    /// What it does.
    pub run: fn(&mut Shell, &Call<'_>, &mut Emit<'_>) -> Result<(), Stop>,
}

impl Cmdlet {
    /// A cmdlet that takes each object, changes nothing and speaks to nobody.
    pub const fn new(
        name: &'static str,
        synopsis: &'static str,
        parameters: &'static [Parameter],
        run: fn(&mut Shell, &Call<'_>, &mut Emit<'_>) -> Result<(), Stop>,
    ) -> Self {
        Self { name, aliases: &[], synopsis, parameters, style: Style::Each, changes: false, remote: false, run }
    }

    /// It has other names.
    pub const fn also(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// It takes all objects at once.
    pub const fn all(self) -> Self {
        Self { style: Style::All, ..self }
    }

    /// It speaks to hosts.
    pub const fn remote(self) -> Self {
        Self { remote: true, ..self }
    }

    /// It changes something.
    pub const fn changing(self) -> Self {
        Self { changes: true, ..self }
    }
}

/// All cmdlets.
pub fn all() -> impl Iterator<Item = &'static Cmdlet> {
    netwnv::all().chain(hyper_v::CMDLETS).chain(net_adapter::CMDLETS).chain(core::all())
}

/// The cmdlet of a name or an alias.
pub fn find(name: &str) -> Option<&'static Cmdlet> {
    let is = |known: &str| known.eq_ignore_ascii_case(name);
    all().find(|cmdlet| is(cmdlet.name) || cmdlet.aliases.iter().any(|alias| is(alias)))
}

impl Call<'_> {
    /// A complaint of this call.
    pub fn fail<T>(&self, message: impl std::fmt::Display) -> Result<T, Stop> {
        Err(self.failure(message))
    }

    /// What this call complains of.
    pub(crate) fn failure(&self, message: impl std::fmt::Display) -> Stop {
        Stop::Failed(Failure { cmdlet: Some(self.cmdlet.name), ..Failure::new(self.at, message.to_string()) })
    }

    /// The hosts that it is sent to; `None` is the local one.
    ///
    /// # Errors
    /// When a session is no name of a host.
    pub fn sessions(&self) -> Result<Vec<Option<String>>, Stop> {
        if self.bound.is_on("AsJob") {
            return self.fail("-AsJob is not supported, since all that cmdlets do is done at once; leave it out");
        }
        if !self.bound.has("CimSession") {
            return Ok(vec![None]);
        }
        let mut hosts = Vec::new();
        for session in self.bound.items("CimSession") {
            let name = match &session {
                Value::Object(_) => session.member("ComputerName").to_text(),
                other => other.to_text(),
            };
            if name.trim().is_empty() {
                return self.fail("-CimSession is empty; it takes names of hosts");
            }
            hosts.push(host(&name));
        }
        Ok(hosts)
    }

    /// Whether a change is to be made: it is not with `-WhatIf`, which tells it, and not when somebody who is asked says no.
    ///
    /// # Errors
    /// When nobody can be asked.
    pub fn should(&self, shell: &mut Shell, action: &str, target: &str) -> Result<bool, Stop> {
        if self.bound.is_on("WhatIf") {
            shell.flush();
            shell.console.print(&format!("What if: Performing the operation \"{action}\" on target \"{target}\".\n"));
            return Ok(false);
        }
        if !self.bound.is_on("Confirm") {
            return Ok(true);
        }
        shell.flush();
        let question = format!("Performing the operation \"{action}\" on target \"{target}\".");
        match shell.console.confirm(&question) {
            Some(answer) => Ok(answer),
            None => self.fail("-Confirm needs somebody to ask, and there is no terminal; leave it out"),
        }
    }
}

/// A host by the name of a session: these are the local one.
pub fn host(name: &str) -> Option<String> {
    let local = matches!(name.to_lowercase().as_str(), "." | "localhost" | "127.0.0.1" | "::1");
    (!local).then(|| name.to_owned())
}
