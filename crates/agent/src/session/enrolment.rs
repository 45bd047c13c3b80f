//! What joining leaves in the state folder: who this host is, and which controller it belongs to.

use std::path::{Path, PathBuf};

use model::Name;
use model::fabric::ResourceName;
use proto::ca::Certified;
use proto::client::Identity;
use serde::{Deserialize, Serialize};

use super::files::{self, FileError};

/// Why an enrolment cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// What stands in a file.
    #[error("{path}: {reason}; join again with \"netvirt host join --force\"", path = .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A host that has joined a controller.
#[derive(Clone)]
pub struct Enrolment {
    /// Where and as whom.
    pub at: Controller,
    /// Who it is.
    pub identity: Identity,
}

/// The file `controller.yaml`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Controller {
    /// HOST:PORT of the controller.
    pub address: String,
    /// The name of this host there.
    pub host: ResourceName,
    /// This host's interfaces in the underlay.
    pub uplinks: Vec<Name>,
}

/// Which controller, as whom.
fn controller_path(folder: &Path) -> PathBuf {
    folder.join("controller.yaml")
}

/// Certificate and private key in one file, so that both are replaced at once.
fn identity_path(folder: &Path) -> PathBuf {
    folder.join("host.pem")
}

fn authority_path(folder: &Path) -> PathBuf {
    folder.join("ca.pem")
}

impl Enrolment {
    /// The enrolment in this folder, none if this host has not joined.
    ///
    /// # Errors
    /// When a file cannot be read, or is not what joining wrote.
    pub fn read(folder: &Path) -> Result<Option<Self>, EnrolmentError> {
        let path = controller_path(folder);
        let Some(text) = files::read_text(&path)? else { return Ok(None) };
        let content = |reason: String| EnrolmentError::Content { path, reason };
        let at: Controller = serde_saphyr::from_str(&text).map_err(|error| content(error.to_string()))?;
        let text = |path: PathBuf| {
            files::read_text(&path)?
                .ok_or_else(|| EnrolmentError::Content { path, reason: "the file is not there".to_owned() })
        };
        let (certified, authority) = (text(identity_path(folder))?, text(authority_path(folder))?);
        let broken = || EnrolmentError::Content {
            path: identity_path(folder),
            reason: "it holds no certificate with a private key behind it".to_owned(),
        };
        let key = certified.find(KEY_BEGIN).ok_or_else(broken)?;
        let (chain, key) = certified.split_at(key);
        let certified = Certified { chain: chain.to_owned(), key: key.to_owned() };
        Ok(Some(Self { at, identity: Identity { certified, authority } }))
    }

    /// Writes all of it. `controller.yaml`, by which an enrolment is known, comes last.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), EnrolmentError> {
        files::make_folder(folder)?;
        files::replace(&authority_path(folder), self.identity.authority.as_bytes())?;
        self.write_identity(folder)?;
        let path = controller_path(folder);
        let text = serde_saphyr::to_string(&self.at)
            .map_err(|error| EnrolmentError::Content { path: path.clone(), reason: error.to_string() })?;
        Ok(files::replace(&path, text.as_bytes())?)
    }

    /// Removes all of it, whatever of it there is. `controller.yaml`, by which an enrolment is known, goes last, so that
    /// what is interrupted can be done again.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove(folder: &Path) -> Result<(), EnrolmentError> {
        for path in [identity_path(folder), authority_path(folder), controller_path(folder)] {
            files::remove(&path)?;
        }
        Ok(())
    }

    /// Writes the certificate and the private key alone: they were renewed.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_identity(&self, folder: &Path) -> Result<(), EnrolmentError> {
        let Certified { chain, key } = &self.identity.certified;
        let newline = if chain.ends_with('\n') { "" } else { "\n" };
        Ok(files::replace(&identity_path(folder), format!("{chain}{newline}{key}").as_bytes())?)
    }
}

/// How the private key begins in the file.
const KEY_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";

#[cfg(test)]
mod tests {
    use super::*;

    fn enrolment() -> Enrolment {
        let authority = proto::ca::Authority::create().unwrap();
        let (key, request) = proto::ca::HostRequest::make().unwrap();
        let request = proto::ca::HostRequest::read(&request).unwrap();
        let host: ResourceName = "host15".parse().unwrap();
        let chain = authority.sign(&request, &host, "uid", std::time::Duration::from_secs(60)).unwrap();
        Enrolment {
            at: Controller { address: "192.168.4.10:7444".to_owned(), host, uplinks: vec!["eth0".parse().unwrap()] },
            identity: Identity { certified: Certified { chain, key }, authority: authority.certificate().to_owned() },
        }
    }

    #[test]
    fn what_is_written_is_read_and_only_root_reads_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        assert!(Enrolment::read(&state).unwrap().is_none());
        let written = enrolment();
        written.write(&state).unwrap();
        let read = Enrolment::read(&state).unwrap().unwrap();
        assert_eq!(read.at, written.at);
        assert!(read.identity == written.identity);
        for file in std::fs::read_dir(&state).unwrap() {
            let file = file.unwrap();
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
        }
    }

    #[test]
    fn a_broken_enrolment_is_named() {
        let folder = tempfile::tempdir().unwrap();
        enrolment().write(folder.path()).unwrap();
        std::fs::write(folder.path().join("host.pem"), "nothing").unwrap();
        let error = Enrolment::read(folder.path()).err().unwrap().to_string();
        assert!(error.contains("host.pem: it holds no certificate") && error.contains("--force"), "{error}");
        std::fs::write(folder.path().join("controller.yaml"), "adress: x\n").unwrap();
        let error = Enrolment::read(folder.path()).err().unwrap().to_string();
        assert!(error.contains("controller.yaml") && error.contains("adress"), "{error}");
    }
}
