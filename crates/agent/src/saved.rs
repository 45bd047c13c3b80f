//! The resources that were declared over the socket, kept across restarts in one YAML file.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use model::{Resource, resources_from_yaml, resources_to_yaml};

/// Why the saved resources cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// The file.
    #[error("cannot {what} {path}: {source}", path = .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What stands in it.
    #[error("{path} was changed by hand, or is of another version: {reason}; correct it, or move it away to begin anew", path = .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Where, and what is wrong.
        reason: String,
    },
}

/// The file of an agent.
pub struct Saved {
    folder: PathBuf,
}

impl Saved {
    /// The file in this folder, which is made if it is missing.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn in_folder(folder: &Path) -> Result<Self, SavedError> {
        // Whose addresses are where is nobody's business but root's, as the socket.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|source| SavedError::Io {
            what: "make the folder",
            path: folder.to_owned(),
            source,
        })?;
        Ok(Self { folder: folder.to_owned() })
    }

    fn path(&self) -> PathBuf {
        self.folder.join("resources.yaml")
    }

    /// The resources; none if nothing has been saved.
    ///
    /// # Errors
    /// When the file cannot be read, or does not hold resources.
    pub fn read(&self) -> Result<Vec<Resource>, SavedError> {
        let path = self.path();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(SavedError::Io { what: "read", path, source }),
        };
        resources_from_yaml(&text).map_err(|error| SavedError::Content { path, reason: error.to_string() })
    }

    /// Replaces the resources: the file holds the old ones or the new ones, whenever the machine stops.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write<'a>(&self, resources: impl IntoIterator<Item = &'a Resource>) -> Result<(), SavedError> {
        let path = self.path();
        let text = resources_to_yaml(resources)
            .map_err(|error| SavedError::Content { path: path.clone(), reason: error.to_string() })?;
        let new = self.folder.join("resources.yaml.new");
        let io = |what, path: &Path| {
            let path = path.to_owned();
            move |source| SavedError::Io { what, path, source }
        };
        let mut options = File::options();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(io("write", &new))?;
        file.write_all(text.as_bytes()).map_err(io("write", &new))?;
        file.sync_all().map_err(io("write", &new))?;
        fs::rename(&new, &path).map_err(io("replace", &path))?;
        // The name is in the folder, which is on the disk only when the folder is.
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(io("write", &self.folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_broken_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let saved = Saved::in_folder(folder.path()).unwrap();
        assert_eq!(saved.read().unwrap(), []);
        let resources = resources_from_yaml(
            "kind: lookup-record\nspec: {vsid: 5001, customerAddress: 10.0.0.5, mac: 06-06-00-00-00-05, providerAddress: 192.168.4.11}",
        )
        .unwrap();
        saved.write(&resources).unwrap();
        assert_eq!(saved.read().unwrap(), resources);
        fs::write(folder.path().join("resources.yaml"), "kind: nonsense\n").unwrap();
        let error = saved.read().unwrap_err().to_string();
        assert!(error.contains("resources.yaml") && error.contains("line 1"), "{error}");
    }
}
