//! Users and sessions of a fabric in memory: passwords as they are, and no time passes.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use model::fabric::ResourceName;
use serde_json::Value;
use uuid::Uuid;

use super::rfc3339;
use crate::fabric::accounts::{
    Identity, IdentityProvider, MIN_PASSWORD, NewPassword, NewUser, PasswordSet, Secret, Session, SessionInfo, SignIn,
    User, UserCreated, UserSource, csrf_of,
};
use crate::fabric::{Caller, CallerKind, Role};
use crate::{Problem, ProblemType};

/// After how many failures of a name nobody signs in with it any more.
const MAX_FAILURES: u32 = 5;
/// How long one is told to wait then.
const WAIT: u64 = 60;
/// How long a session lasts.
const LIFE: Duration = Duration::from_secs(12 * 3600);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// Users, with their passwords if they are local.
    pub(super) users: BTreeMap<ResourceName, (User, Option<Secret>)>,
    /// Whose session a secret is, and how often it was used.
    sessions: BTreeMap<String, (ResourceName, u64)>,
    failures: BTreeMap<String, u32>,
    pub(super) provider: Option<IdentityProvider>,
}

fn missing(name: &ResourceName) -> Problem {
    Problem::not_found(format!("there is no user \"{name}\"; \"netvirt get users\" lists what there is"))
}

fn caller_of(user: &User) -> Caller {
    Caller { kind: CallerKind::User, name: user.name.clone(), role: user.role, tenant: user.tenant.clone() }
}

/// The password to set, and the one to tell.
fn chosen(given: Option<Secret>) -> Result<(Secret, Option<Secret>), Problem> {
    match given {
        Some(given) if given.as_str().chars().count() < MIN_PASSWORD => Err(Problem::invalid(format!(
            "the password is too short; choose one of at least {MIN_PASSWORD} characters"
        ))),
        Some(given) => Ok((given, None)),
        None => {
            let made = Secret::from(Uuid::new_v4().simple().to_string());
            Ok((made.clone(), Some(made)))
        }
    }
}

impl Accounts {
    pub(super) fn create(&mut self, new: NewUser) -> Result<UserCreated, Problem> {
        let NewUser { name, role, tenant, password } = new;
        if self.users.contains_key(&name) {
            let detail = format!("the user \"{name}\" exists; delete it with \"netvirt delete user '{name}'\"");
            return Err(Problem::conflict(detail));
        }
        if role == Role::Tenant && tenant.is_none() {
            return Err(Problem::invalid("a user with the role tenant needs a tenant; name one"));
        }
        let (set, told) = chosen(password)?;
        let created = rfc3339(SystemTime::now());
        let user = User { name: name.clone(), role, tenant, created, source: UserSource::Local };
        self.users.insert(name, (user.clone(), Some(set)));
        Ok(UserCreated { user, password: told })
    }

    pub(super) fn delete(&mut self, name: &ResourceName) -> Result<User, Problem> {
        let (user, _) = self.users.remove(name).ok_or_else(|| missing(name))?;
        self.sessions.retain(|_, (of, _)| of != name);
        Ok(user)
    }

    pub(super) fn set_password(
        &mut self,
        name: &ResourceName,
        new: NewPassword,
        own: bool,
    ) -> Result<(User, PasswordSet), Problem> {
        let (user, password) = self.users.get_mut(name).ok_or_else(|| missing(name))?;
        let Some(now) = password else {
            return Err(Problem::conflict(format!("user \"{name}\" has no password here; its identity provider has")));
        };
        if own && new.old.as_ref() != Some(now) {
            return Err(Problem::new(ProblemType::Forbidden, "the old password is not the right one; type it again"));
        }
        let (set, told) = chosen(new.new)?;
        *password = Some(set);
        self.sessions.retain(|_, (of, _)| of != name);
        Ok((user.clone(), PasswordSet { password: told }))
    }

    pub(super) fn sign_in(&mut self, sign_in: &SignIn) -> Result<(Session, User), Problem> {
        let failures = self.failures.entry(sign_in.name.clone()).or_default();
        if *failures >= MAX_FAILURES {
            let detail = format!("too many attempts to sign in failed; wait {WAIT} s");
            return Err(Problem::too_many_requests(detail, WAIT));
        }
        let name = sign_in.name.parse::<ResourceName>().ok();
        let found = name.and_then(|name| self.users.get(&name));
        match found.filter(|(_, password)| password.as_ref() == Some(&sign_in.password)) {
            Some((user, _)) => {
                *failures = 0;
                let user = user.clone();
                Ok((self.begin(&user), user))
            }
            None => {
                *failures += 1;
                let detail = "name or password is not right; type them again, or ask an admin for a new password";
                Err(Problem::new(ProblemType::Unauthorized, detail))
            }
        }
    }

    /// The claims `name`, `role` and `tenant` say what the user is.
    pub(super) fn sign_in_with(&mut self, identity: &Identity) -> Result<(Session, User), Problem> {
        let claim = |name: &str| identity.claims.get(name).and_then(Value::as_str);
        let refused = |detail: &str| Problem::new(ProblemType::Forbidden, detail);
        let role = match claim("role") {
            Some("admin") => Role::Admin,
            Some("tenant") => Role::Tenant,
            Some("reader") => Role::Reader,
            _ => return Err(refused("no rule of the controller admits this person; ask an admin")),
        };
        let name = claim("name").and_then(|name| name.parse::<ResourceName>().ok());
        let name = name.ok_or_else(|| refused("the identity provider tells no name that can be used; ask an admin"))?;
        let tenant = claim("tenant").and_then(|name| name.parse().ok());
        let source = UserSource::OpenId(identity.issuer.clone());
        if self.users.get(&name).is_some_and(|(user, _)| user.source != source) {
            return Err(refused("the name is another user's; ask an admin"));
        }
        let created = rfc3339(SystemTime::now());
        let user = User { name: name.clone(), role, tenant, created, source };
        self.users.insert(name, (user.clone(), None));
        Ok((self.begin(&user), user))
    }

    fn begin(&mut self, user: &User) -> Session {
        let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        self.sessions.insert(secret.clone(), (user.name.clone(), 0));
        Session { secret: secret.into(), caller: caller_of(user), expires: SystemTime::now() + LIFE }
    }

    /// The session of a secret, which is used herewith.
    pub(super) fn session(&mut self, secret: &str) -> Result<SessionInfo, Problem> {
        let info = self.lasting(secret)?;
        self.sessions.entry(secret.to_owned()).and_modify(|(_, uses)| *uses += 1);
        Ok(info)
    }

    /// How often the session of a secret was used.
    pub(super) fn uses(&self, secret: &str) -> u64 {
        self.sessions.get(secret).map_or(0, |(_, uses)| *uses)
    }

    /// The session of a secret, without using it.
    pub(super) fn lasting(&self, secret: &str) -> Result<SessionInfo, Problem> {
        let user = self.sessions.get(secret).and_then(|(name, _)| self.users.get(name));
        let (user, _) = user.ok_or_else(|| {
            Problem::new(ProblemType::Unauthorized, "nobody is signed in with this session; sign in again")
        })?;
        Ok(SessionInfo {
            caller: caller_of(user),
            user: user.clone(),
            expires: SystemTime::now() + LIFE,
            csrf: csrf_of(secret),
        })
    }

    /// Whose session it was.
    pub(super) fn sign_out(&mut self, secret: &str) -> Option<User> {
        let (name, _) = self.sessions.remove(secret)?;
        self.users.get(&name).map(|(user, _)| user.clone())
    }
}
