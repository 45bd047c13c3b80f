//! What ends a command, in which words and with which exit code.

use std::io;
use std::path::PathBuf;

use api::ClientError;

use crate::fields::FieldsError;

/// Refused.
pub const EXIT_REFUSED: u8 = 1;
/// Wrong usage; also clap's own.
pub const EXIT_USAGE: u8 = 2;
/// No agent answers.
pub const EXIT_NO_AGENT: u8 = 3;

/// What ends a command.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line is grammatical, but asks for nothing that can be done.
    #[error("{0}")]
    Usage(String),
    /// The agent, or the way to it.
    #[error(transparent)]
    Client(#[from] ClientError),
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
    /// The exit code.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Fields(FieldsError::Nothing(_)) => EXIT_USAGE,
            Self::Client(ClientError::Refused(_) | ClientError::Answer { .. } | ClientError::Start(_)) => EXIT_REFUSED,
            Self::Client(_) => EXIT_NO_AGENT,
            _ => EXIT_REFUSED,
        }
    }

    /// What goes to the standard error: one line for each sentence.
    pub fn lines(&self) -> String {
        let line = |sentence: &str| format!("error: {sentence}\n");
        match self {
            Self::Client(ClientError::Refused(problem)) => problem.sentences().map(line).collect(),
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
