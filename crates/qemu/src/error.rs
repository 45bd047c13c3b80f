//! Why a QEMU does not do what it was ordered to.

use std::path::{Path, PathBuf};

/// What happened with a QEMU that takes orders.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QmpError {
    /// Nobody is there.
    #[error("QEMU at {path}: nobody takes orders there ({problem}); is it running, with \"-qmp unix:{path},server=on,wait=off\"?", path = .path.display())]
    Absent {
        /// Where it would take orders.
        path: PathBuf,
        /// What the system says.
        problem: String,
    },
    /// It was there and is gone.
    #[error("QEMU at {path}: {order}: it has ended", path = .path.display())]
    Ended {
        /// Where it took orders.
        path: PathBuf,
        /// What was asked of it.
        order: String,
    },
    /// No answer.
    #[error(
        "QEMU at {path}: {order}: it does not answer in time; does somebody else give it orders? It listens to one at a time",
        path = .path.display()
    )]
    Late {
        /// Where it takes orders.
        path: PathBuf,
        /// What was asked of it.
        order: String,
    },
    /// It refuses, in its own words.
    #[error("QEMU at {path}: {order} is refused: {words}", path = .path.display())]
    Refused {
        /// Where it takes orders.
        path: PathBuf,
        /// What it was to do.
        order: String,
        /// Why not.
        words: String,
    },
    /// It says what nobody expects.
    #[error("QEMU at {path}: it says {said}, which is not QMP", path = .path.display())]
    Strange {
        /// Where it takes orders.
        path: PathBuf,
        /// What it said.
        said: String,
    },
    /// The way to it is broken.
    #[error("QEMU at {path}: {order}: {problem}", path = .path.display())]
    Broken {
        /// Where it takes orders.
        path: PathBuf,
        /// What was asked of it.
        order: String,
        /// What the system says.
        problem: String,
    },
}

impl QmpError {
    /// Something of the system, in the course of an order.
    pub(crate) fn of_system(path: &Path, order: &str, error: &std::io::Error) -> Self {
        let (path, order) = (path.to_owned(), order.to_owned());
        match error.kind() {
            std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset => Self::Ended { path, order },
            _ => Self::Broken { path, order, problem: error.to_string() },
        }
    }

    /// Whether the QEMU is gone, as far as this side can see.
    pub const fn is_end(&self) -> bool {
        matches!(self, Self::Ended { .. } | Self::Absent { .. })
    }
}
