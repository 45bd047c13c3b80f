//! The file that says where a controller is, how to know it, and who asks: made by the controller, read by its clients.
//!
//! The authority's certificate stands in it as text, so that one file can be copied to another machine.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use model::fabric::ResourceName;
use serde::{Deserialize, Serialize};

use super::Endpoint;

/// The token in it opens the controller: nobody but the owner may read it.
const MODE: u32 = 0o600;

/// Where a controller is, how to know it, and who asks.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Context {
    /// `https://host:port`.
    pub controller: String,
    /// The certificate of the controller's authority, as PEM.
    pub ca: String,
    /// The secret of a token.
    pub token: String,
    /// The tenant that is meant where nothing else is said; absent, the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<ResourceName>,
}

/// The token is not for logs.
impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("controller", &self.controller).finish_non_exhaustive()
    }
}

/// Why a context cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// There is none.
    #[error(
        "there is no {file}; on the controller's machine it is \"admin.yaml\" in its state folder; copy it from there, \
         or name another one",
        file = .0.display()
    )]
    Missing(PathBuf),
    /// It belongs to somebody else.
    #[error("{file} is not open to this user; run the command as its owner, usually with sudo", file = .0.display())]
    Forbidden(PathBuf),
    /// The system refused.
    #[error("cannot {what} {file}: {source}", file = .file.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        file: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{file} is no context: {reason}; it has the fields controller, ca and token, and may have tenant", file = .file.display())]
    Malformed {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Context {
    /// Reads it.
    ///
    /// # Errors
    /// When the file is not there, not open to this user, or no context.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ContextError> {
        let file = path.as_ref();
        let text = fs::read_to_string(file).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => ContextError::Missing(file.to_owned()),
            io::ErrorKind::PermissionDenied => ContextError::Forbidden(file.to_owned()),
            _ => failed("read", file)(error),
        })?;
        serde_saphyr::from_str(&text).map_err(|error| ContextError::Malformed {
            file: file.to_owned(),
            // The excerpt that the reader would add could show the token.
            reason: error.without_snippet().to_string(),
        })
    }

    /// Writes it, replacing what was there at once, with mode 0600 from the beginning.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ContextError> {
        let file = path.as_ref();
        let text = serde_saphyr::to_string(self)
            .map_err(|error| ContextError::Malformed { file: file.to_owned(), reason: error.to_string() })?;
        let mut temporary = file.as_os_str().to_owned();
        temporary.push("~");
        let temporary = PathBuf::from(temporary);
        let written = write_new(&temporary, &text)
            .map_err(failed("write", &temporary))
            .and_then(|()| fs::rename(&temporary, file).map_err(failed("put in place", file)));
        if written.is_err() {
            // The first error is the one to report; a leftover is replaced by the next attempt.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// What a client takes.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint { url: self.controller.clone(), ca_pem: self.ca.clone(), token: self.token.clone() }
    }
}

/// Writes a file that nobody else could open at any time.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(MODE).open(path)?;
    // The process's umask can only have taken bits away that the owner needs.
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// An error with what was tried and with which file.
fn failed(what: &'static str, file: &Path) -> impl FnOnce(io::Error) -> ContextError {
    let file = file.to_owned();
    move |source| ContextError::Io { what, file, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        let ca = "-----BEGIN CERTIFICATE-----\nMIIB\nAAAA==\n-----END CERTIFICATE-----\n";
        Context { controller: "https://[fd00::1]:7443".into(), ca: ca.into(), token: "nv-0: #x".into(), tenant: None }
    }

    #[test]
    fn what_is_written_is_read_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("admin.yaml");
        fs::write(&file, "old").unwrap();
        context().write(&file).unwrap();
        assert_eq!(Context::read(&file).unwrap(), context());
        assert!(!fs::read_to_string(&file).unwrap().contains("tenant"));
        let of_blue = Context { tenant: Some("blue".parse().unwrap()), ..context() };
        of_blue.write(&file).unwrap();
        assert_eq!(Context::read(&file).unwrap(), of_blue);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(fs::read_to_string(&file).unwrap().contains("\n  MIIB\n"), "people read it line by line");
        assert!(!format!("{:?}", context()).contains("nv-0"));
    }

    #[test]
    fn what_is_no_context_is_refused_without_showing_the_token() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("admin.yaml");
        assert!(matches!(Context::read(&file), Err(ContextError::Missing(_))));
        fs::write(&file, "controller: https://c:1\ntoken: geheim\nurl: x\n").unwrap();
        let error = Context::read(&file).unwrap_err().to_string();
        assert!(error.contains("url") && error.contains("controller, ca and token"), "{error}");
        assert!(!error.contains("geheim"), "{error}");
        let error = context().write(folder.path().join("none/admin.yaml")).unwrap_err().to_string();
        assert!(error.contains("none/admin.yaml"), "{error}");
    }
}
