//! What a controller makes when it starts for the first time: its authority, its first resources, the admin's token and user.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use api::Problem;
use api::fabric::accounts::NewUser;
use api::fabric::{Context, ContextError, Role};
use model::fabric::{
    DEFAULT_MAC_POOL, DEFAULT_TENANT, MacPool, MacRange, Resource, ResourceName, ResourceNameError, Tenant,
};
use plan::fabric::Change;
use proto::ca::Authority;
use store::Store;

use crate::commit::Actor;
use crate::core::{Core, Work};
use crate::error::RunError;
use crate::records::{OBJECTS, TokenRecord};
use crate::{clock, passwords, secrets, tokens, users};

/// Name of the token and of the user that are made at the first start.
const ADMIN: &str = "admin";

/// Who makes what is there from the first start on, in the audit log.
const CONTROLLER: &str = "controller";

fn io(what: &str, path: &Path) -> impl FnOnce(std::io::Error) -> RunError {
    let what = format!("{what} {}", path.display());
    move |source| RunError::Io { what, source }
}

/// Makes the state folder; it is nobody else's business.
pub fn folder(path: &Path) -> Result<(), RunError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io("make the folder", path))
}

/// The authority of this state folder; a new one at the first start. One that is lost while hosts trust it is not
/// replaced.
pub fn authority(folder: &Path, store: &dyn Store) -> Result<Authority, RunError> {
    let [certificate, key] = ["ca.pem", "ca.key"].map(|name| folder.join(name));
    let read = |path: &Path| match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("read", path)(error)),
    };
    let wrong = |source| RunError::Authority { folder: folder.to_owned(), source };
    match (read(&certificate)?, read(&key)?) {
        (Some(certificate), Some(key)) => Authority::load(&certificate, &key).map_err(wrong),
        (Some(_), None) => Err(RunError::AuthorityLost { missing: key }),
        (None, old) => {
            let hosts = store.list(&format!("{OBJECTS}host/"), None, 1).map_err(crate::LoadError::from)?;
            if !hosts.entries.is_empty() {
                return Err(RunError::AuthorityLost { missing: if old.is_none() { key } else { certificate } });
            }
            let authority = Authority::create().map_err(wrong)?;
            // The key comes first: without its certificate it is made anew at the next start.
            write(&key, authority.key(), 0o600)?;
            write(&certificate, authority.certificate(), 0o644)?;
            Ok(authority)
        }
    }
}

/// Replaces a file as a whole.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), RunError> {
    let new = path.with_extension("new");
    let mut options = fs::File::options();
    let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&new).map_err(io("write", &new))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io("write", &new))?;
    fs::rename(&new, path).map_err(io("replace", path))?;
    let folder = path.parent().unwrap_or(path);
    // The name is in the folder, which is on the disk only when the folder is.
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io("write", folder))
}

fn name(text: &str) -> Result<ResourceName, RunError> {
    text.parse().map_err(|error: ResourceNameError| RunError::First(Problem::internal(error.to_string())))
}

/// Declares what exists from the first start on, if nothing was ever declared.
pub fn resources(core: &Core) -> Result<(), RunError> {
    if core.state().audit.has_begun() {
        return Ok(());
    }
    let create = |name, spec: model::fabric::Spec| Change::Create(Resource::new(None, name, spec));
    let changes = vec![
        create(name(DEFAULT_TENANT)?, Tenant::default().into()),
        create(name(DEFAULT_MAC_POOL)?, MacPool { ranges: vec![MacRange::vmm()] }.into()),
    ];
    let done = core.transact(&Actor::new(CONTROLLER), false, |_| Ok(Work::Changes(changes.clone()).into()));
    done.map(drop).map_err(RunError::First)
}

/// The file with which the admin reaches the controller: made at the first start, and again if it is lost, with a new
/// secret then. Where it says another address than `url`, it is corrected.
pub fn admin(core: &Core, folder: &Path, url: &str, ca: &str) -> Result<(), RunError> {
    let path = folder.join("admin.yaml");
    match Context::read(&path) {
        // With no token in the store, nobody could get in: it was replaced by an empty one.
        Ok(context) if !core.state().tokens.is_empty() => {
            let now = Context { controller: url.to_owned(), ca: ca.to_owned(), ..context.clone() };
            if now != context {
                now.write(&path)?;
            }
            Ok(())
        }
        Ok(_) | Err(ContextError::Missing(_)) => {
            let secret = secrets::new();
            let name = name(ADMIN)?;
            let created = clock::now();
            let record =
                TokenRecord { sha256: secrets::hash(&secret), role: Role::Admin, tenant: None, created, expires: None };
            let actor = Actor::new(CONTROLLER);
            core.transact(&actor, false, |_| tokens::put(&actor, &name, &record)).map_err(RunError::First)?;
            // In this order: a token without its file is replaced at the next start.
            Context { controller: url.to_owned(), ca: ca.to_owned(), token: secret, tenant: None }.write(&path)?;
            tracing::warn!("made the admin's token; who reads {} is admin", path.display());
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// The first user, with whom the admin signs in to the console: made once, when there was never any. Its password stands
/// in a file, and in no log.
pub fn console_user(core: &Core, folder: &Path) -> Result<(), RunError> {
    if core.state().users_begun {
        return Ok(());
    }
    let (path, password) = (folder.join("console-password"), passwords::make_up());
    // In this order: a password without its user is replaced at the next start.
    write(&path, &format!("{}\n", password.as_str()), 0o600)?;
    let user = NewUser { name: name(ADMIN)?, role: Role::Admin, tenant: None, password: Some(password) };
    users::create(core, &Actor::new(CONTROLLER), &user, clock::now()).map_err(RunError::First)?;
    tracing::warn!("made the user \"{ADMIN}\" of the console; its password is in {}", path.display());
    Ok(())
}
