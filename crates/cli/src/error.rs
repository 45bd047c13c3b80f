//! What ends a command, in which words and with which exit code.

use std::io;
use std::path::PathBuf;

use api::{ClientError, fabric};

use crate::fields::FieldsError;

/// Refused.
pub const EXIT_REFUSED: u8 = 1;
/// Wrong usage; also clap's own.
pub const EXIT_USAGE: u8 = 2;
/// No agent or controller answers.
pub const EXIT_NO_ANSWER: u8 = 3;
/// Declared, but not realized on every host within `--wait`.
pub const EXIT_NOT_REALIZED: u8 = 4;
/// Interrupted at the terminal; as shells say it of SIGINT.
pub const EXIT_INTERRUPTED: u8 = 130;
/// `netvirt diff` found differences.
pub const EXIT_DIFFERENT: u8 = 1;

/// What ends a command.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line is grammatical, but asks for nothing that can be done.
    #[error("{0}")]
    Usage(String),
    /// It cannot be done, for a reason that is told already in a sentence.
    #[error("{0}")]
    Told(String),
    /// A script ended with this code, and has said why itself.
    #[error("the script ended with code {0}")]
    Script(u8),
    /// The agent, or the way to it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The controller, or the way to it.
    #[error(transparent)]
    Fabric(#[from] fabric::ClientError),
    /// The context is of no use.
    #[error(transparent)]
    Context(#[from] fabric::ContextError),
    /// No tenant has it.
    #[error("no tenant has a {kind} \"{name}\"; see \"netvirt get {kind} --all-tenants\"")]
    Nowhere {
        /// The kind.
        kind: model::fabric::Kind,
        /// The name.
        name: String,
    },
    /// A password cannot be read.
    #[error("cannot read the password: {0}")]
    Password(std::io::Error),
    /// No such user.
    #[error("there is no user \"{0}\"; \"netvirt get users\" lists what there is")]
    NoUser(String),
    /// No such token.
    #[error("there is no token \"{0}\"; \"netvirt get tokens\" lists what there is")]
    NoToken(String),
    /// What ends `diff` before it can compare: its exit code must not say that there are differences.
    #[error(transparent)]
    OfDiff(Box<CliError>),
    /// No context says how to reach a controller.
    #[error(
        "a controller keeps what is asked for ({what}), and no context says how to reach one (looked for {}); give \
         --context FILE or set NETVIRT_CONTEXT: a controller writes admin.yaml into its state folder",
        .looked.join(", ")
    )]
    NoContext {
        /// What was asked for.
        what: String,
        /// The files that are not there, or that this user may not read.
        looked: Vec<String>,
    },
    /// Files with kinds of both.
    #[error(
        "the files declare a {host}, which only a host's agent knows, and a {controller}, which only a controller knows; \
         apply them by themselves"
    )]
    MixedFiles {
        /// A host's kind.
        host: String,
        /// A controller's kind.
        controller: String,
    },
    /// Not in force everywhere in time. One sentence for each resource that is missing.
    #[error("{}", .0.join("\n"))]
    NotRealized(Vec<String>),
    /// Not an error of its own: `diff` found differences.
    #[error("there are differences")]
    Different,
    /// A file cannot be written.
    #[error("cannot write {file}: {source}", file = .file.display())]
    Write {
        /// Which one.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Flags that make no resource.
    #[error(transparent)]
    Fields(#[from] FieldsError),
    /// A file cannot be read.
    #[error("cannot read {file}: {source}", file = .file.display())]
    Read {
        /// Which one.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not as it must be.
    #[error("{file}: {source}")]
    Yaml {
        /// Which one.
        file: String,
        /// Where and what.
        source: model::YamlError,
    },
    /// A file declares nothing.
    #[error("{0} declares no resource; write at least one with kind and spec")]
    Empty(String),
    /// What is to be printed cannot be written in this notation.
    #[error("cannot write the answer: {0}")]
    Render(String),
    /// The output is gone, and not because the reader had enough.
    #[error("cannot write to the output: {0}")]
    Output(io::Error),
    /// The system does not let this process wait for signals.
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
    /// The lab refuses.
    #[error(transparent)]
    Lab(Box<lab::LabError>),
    /// The file of a lab is not as it must be.
    #[error("{file}: {source}", file = .file.display())]
    LabFile {
        /// Which one.
        file: PathBuf,
        /// Where and what.
        source: Box<lab::LabError>,
    },
    /// A role ended.
    #[error("{0}")]
    Role(Box<dyn std::error::Error>),
}

impl From<lab::LabError> for CliError {
    fn from(error: lab::LabError) -> Self {
        Self::Lab(Box::new(error))
    }
}

impl CliError {
    /// What cannot be written as YAML.
    pub fn yaml(error: model::YamlWriteError) -> Self {
        Self::Render(error.to_string())
    }

    /// An error of `diff`.
    pub fn of_diff(self) -> Self {
        match self {
            Self::Different => Self::Different,
            error => Self::OfDiff(Box::new(error)),
        }
    }

    /// Whether somebody else, had he been asked, could have had an answer.
    pub fn depends_on_whom_is_asked(&self) -> bool {
        let not_found = |problem: &api::Problem| problem.problem_type == api::ProblemType::NotFound;
        match self {
            Self::Client(ClientError::Refused(problem)) => not_found(problem),
            Self::Fabric(error) if error.problem().is_some() => error.problem().is_some_and(not_found),
            Self::OfDiff(error) => error.depends_on_whom_is_asked(),
            error => error.exit_code() == EXIT_NO_ANSWER,
        }
    }

    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        use fabric::ClientError as FabricError;
        match self {
            Self::OfDiff(error) => match error.exit_code() {
                EXIT_DIFFERENT => EXIT_USAGE,
                code => code,
            },
            Self::Fabric(
                FabricError::NoController(_)
                | FabricError::Connect { .. }
                | FabricError::Broken { .. }
                | FabricError::Timeout { .. }
                | FabricError::Tls { .. }
                | FabricError::WrongAuthority(_)
                | FabricError::WrongName { .. },
            )
            | Self::Context(_) => EXIT_NO_ANSWER,
            Self::Script(code) => *code,
            Self::Usage(_) | Self::MixedFiles { .. } => EXIT_USAGE,
            Self::Fields(
                FieldsError::Nothing(_)
                | FieldsError::OtherField { .. }
                | FieldsError::Missing { .. }
                | FieldsError::NameAtHost(_)
                | FieldsError::NoName
                | FieldsError::NoSuchSite { .. },
            ) => EXIT_USAGE,
            Self::Client(ClientError::Refused(_) | ClientError::Answer { .. } | ClientError::Start(_)) => EXIT_REFUSED,
            Self::Client(_) | Self::NoContext { .. } => EXIT_NO_ANSWER,
            Self::NotRealized(_) => EXIT_NOT_REALIZED,
            Self::Lab(error) if matches!(**error, lab::LabError::Interrupted(_)) => EXIT_INTERRUPTED,
            Self::Different => EXIT_DIFFERENT,
            _ => EXIT_REFUSED,
        }
    }

    /// What goes to the standard error: one line for each sentence.
    pub fn lines(&self) -> String {
        let line = |sentence: &str| format!("error: {sentence}\n");
        match self {
            Self::Different | Self::Script(_) => String::new(),
            Self::Client(ClientError::Refused(problem)) => problem.sentences().map(line).collect(),
            Self::Fabric(error) if error.problem().is_some_and(|problem| problem.sentences().count() > 1) => {
                error.problem().into_iter().flat_map(|problem| problem.sentences()).map(line).collect()
            }
            Self::OfDiff(error) => error.lines(),
            Self::NotRealized(sentences) => sentences.iter().map(|sentence| line(sentence)).collect(),
            Self::Role(error) => {
                let mut text = line(&error.to_string());
                let mut cause = error.source();
                while let Some(error) = cause {
                    text.push_str(&format!("  because: {error}\n"));
                    cause = error.source();
                }
                text
            }
            _ => line(&self.to_string()),
        }
    }
}
