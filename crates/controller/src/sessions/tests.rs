//! Sessions over a real store, at times that the test says.

use std::sync::Arc;

use api::fabric::Role;
use api::fabric::accounts::{NewPassword, NewUser, Secret};
use store::{Options, RedbStore};

use super::*;
use crate::limits::{FREE_FAILURES_OF_USER, MAX_SESSIONS_OF_USER};
use crate::openid::OpenId;
use crate::{Controller, Settings, audit};

const NOW: u64 = 1_700_000_000_000;
const HOUR: u64 = 3_600_000;
const MINUTE: u64 = 60_000;
const PASSWORD: &str = "correct horse battery";
const ISSUER: &str = "https://id.example";

struct Scene {
    core: Arc<Core>,
    folder: Arc<tempfile::TempDir>,
}

impl Scene {
    fn in_folder(folder: Arc<tempfile::TempDir>, openid: Option<OpenId>) -> Self {
        let store = RedbStore::open(&folder.path().join("store.redb"), Options::default()).unwrap();
        let settings = Settings {
            agents: "c:7444".to_owned(),
            fingerprint: String::new(),
            certificate_life: Duration::from_secs(3600),
            scratch: folder.path().to_owned(),
            openid,
        };
        Self { core: Controller::open(Arc::new(store), settings).unwrap().0, folder }
    }

    /// One with the local users `tim` (admin) and `tom` (reader of tenant default).
    fn new() -> Self {
        let scene = Self::in_folder(Arc::new(tempfile::tempdir().unwrap()), Some(openid(RULES)));
        scene.create("tim", Role::Admin, None);
        scene.create("tom", Role::Reader, Some("default"));
        scene
    }

    /// The controller starts anew, perhaps with other rules.
    fn restart(self, openid: Option<OpenId>) -> Self {
        let folder = Arc::clone(&self.folder);
        drop(self);
        Self::in_folder(folder, openid)
    }

    fn create(&self, name: &str, role: Role, tenant: Option<&str>) {
        let tenant = tenant.map(|tenant| tenant.parse().unwrap());
        let new = NewUser { name: name.parse().unwrap(), role, tenant, password: Some(PASSWORD.into()) };
        users::create(&self.core, &Actor::new("admin"), &new, NOW).unwrap();
    }

    fn try_in(&self, name: &str, password: &str, now: u64) -> Result<Session, Problem> {
        let from = [192, 0, 2, 1].into();
        sign_in(&self.core, &SignIn { name: name.to_owned(), password: password.into(), from }, now)
    }

    fn begin(&self, name: &str, now: u64) -> Secret {
        self.try_in(name, PASSWORD, now).unwrap().secret
    }

    fn lasts(&self, secret: &Secret, now: u64) -> bool {
        lasts(&self.core, secret.as_str(), now).is_ok()
    }

    fn used(&self, secret: &Secret, now: u64) -> Result<SessionInfo, Problem> {
        session(&self.core, secret.as_str(), now)
    }

    fn identity(&self, subject: &str, claims: Value, now: u64) -> Result<Session, Problem> {
        let Value::Object(claims) = claims else { panic!("{claims}") };
        let (issuer, subject) = (ISSUER.to_owned(), subject.to_owned());
        sign_in_with(&self.core, &Identity { issuer, subject, claims, from: [192, 0, 2, 9].into() }, now)
    }

    /// Who did what to what, newest first.
    fn audit(&self, lines: usize) -> Vec<String> {
        let snapshot = self.core.store.snapshot().unwrap();
        let lines = audit::read(&*snapshot, None, None, lines).unwrap().into_iter();
        lines.map(|line| format!("{}: {} {}", line.who, line.action, line.object)).collect()
    }

    fn stored_sessions(&self) -> usize {
        self.core.store.list(SESSIONS, None, 1000).unwrap().entries.len()
    }
}

const RULES: &str = "{claim: groups, value: admins, role: admin}, \
                     {claim: groups, value: staff, role: reader, tenant: default}, \
                     {claim: groups, value: green, role: tenant, tenant: green}";

fn openid(rules: &str) -> OpenId {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "s").unwrap();
    let text =
        format!("{{issuer: '{ISSUER}', clientId: c, clientSecretFile: secret, name: Example, rules: [{rules}]}}");
    OpenId::new(serde_saphyr::from_str(&text).unwrap(), Some(folder.path())).unwrap()
}

fn name(text: &str) -> ResourceName {
    text.parse().unwrap()
}

#[test]
fn a_session_lasts_as_long_as_it_is_used_but_twelve_hours_at_most() {
    let scene = Scene::new();
    let session = scene.try_in("tim", PASSWORD, NOW).unwrap();
    assert_eq!((session.caller.who().as_str(), session.caller.role), ("user tim", Role::Admin));
    let secret = session.secret;
    let info = scene.used(&secret, NOW + 59 * MINUTE).unwrap();
    assert_eq!((&info.caller, info.expires), (&session.caller, session.expires));
    assert!(info.is_csrf(&csrf_of(secret.as_str())) && !info.is_csrf(&csrf_of("other")) && !info.is_csrf(""));
    for half_hours in 3..24 {
        let now = NOW + half_hours * 30 * MINUTE;
        // Whoever only looks whether it lasts does not use it.
        assert!(scene.lasts(&secret, now + 28 * MINUTE));
        scene.used(&secret, now).unwrap();
    }
    let problem = scene.used(&secret, NOW + 12 * HOUR).unwrap_err();
    assert_eq!(problem.status, 401);
    assert_eq!(problem.detail, "the session has ended after 12 hours; sign in again");
    let idle = scene.begin("tim", NOW);
    assert!(scene.lasts(&idle, NOW + HOUR - 1));
    let problem = scene.used(&idle, NOW + HOUR).unwrap_err();
    assert_eq!(problem.detail, "the session has ended, since it was not used for 1 hour; sign in again");
    assert!(scene.used(&"made up".into(), NOW).unwrap_err().detail.starts_with("nobody is signed in"));
}

#[test]
fn a_restart_signs_nobody_out_and_keeps_nobody_for_ever() {
    let scene = Scene::new();
    let (used, unused) = (scene.begin("tim", NOW), scene.begin("tom", NOW));
    let revision = scene.core.state().revision;
    for second in 0..50 {
        scene.used(&used, NOW + MINUTE + second * 1000).unwrap();
    }
    assert_eq!(scene.core.state().revision, revision, "each use alone is not written");
    scene.used(&used, NOW + 50 * MINUTE).unwrap();
    scene.used(&used, NOW + 54 * MINUTE).unwrap();
    let file = std::fs::read(scene.folder.path().join("store.redb")).unwrap();
    let holds = |secret: &str| file.windows(secret.len()).any(|part| part == secret.as_bytes());
    assert!(!holds(used.as_str()) && !holds(PASSWORD), "neither secrets nor passwords are on the disk");
    let scene = scene.restart(None);
    // Used a minute before the last use was written for the first time: it does not count against it.
    assert!(scene.lasts(&used, NOW + 54 * MINUTE + HOUR - 1));
    assert!(!scene.lasts(&used, NOW + 55 * MINUTE + HOUR), "at most what is not written is given");
    assert!(!scene.lasts(&unused, NOW + 65 * MINUTE));
    assert_eq!(scene.used(&used, NOW + HOUR).unwrap().user.name, name("tim"));
    scene.try_in("tom", PASSWORD, NOW + 2 * HOUR).unwrap();
    scene.try_in("tom", PASSWORD, NOW + 3 * HOUR).unwrap();
    assert_eq!(scene.stored_sessions(), 1, "those that have ended are swept");
}

#[test]
fn a_session_ends_with_its_user_its_password_and_by_signing_out() {
    let scene = Scene::new();
    let (tim, tom, other) = (scene.begin("tim", NOW), scene.begin("tom", NOW), scene.begin("tom", NOW));
    sign_out(&scene.core, tom.as_str()).unwrap();
    sign_out(&scene.core, tom.as_str()).unwrap();
    assert!(!scene.lasts(&tom, NOW) && scene.lasts(&other, NOW) && scene.lasts(&tim, NOW));
    let set = |caller: &str, whom: &str, old: Option<&str>| {
        let caller = users::caller(&name(caller), &scene.core.state().users[&name(caller)]);
        let new = NewPassword { old: old.map(Into::into), new: Some("another horse battery".into()) };
        users::set_password(&scene.core, &caller, &name(whom), &new, NOW)
    };
    for (caller, whom, old, status) in [
        ("tom", "tim", Some(PASSWORD), 403),
        ("tom", "tom", None, 422),
        ("tom", "tom", Some("wrong horse battery"), 403),
        ("tim", "tim", Some("wrong horse battery"), 403),
        ("tim", "nobody", None, 404),
    ] {
        assert_eq!(set(caller, whom, old).unwrap_err().status, status, "{caller} {whom} {old:?}");
    }
    assert!(scene.lasts(&other, NOW));
    assert_eq!(set("tom", "tom", Some(PASSWORD)).unwrap().password, None);
    assert!(!scene.lasts(&other, NOW) && scene.lasts(&tim, NOW));
    assert_eq!(scene.try_in("tom", PASSWORD, NOW).unwrap_err().status, 401);
    let again = scene.try_in("tom", "another horse battery", NOW).unwrap().secret;
    // An admin needs no old one.
    set("tim", "tom", None).unwrap();
    assert!(!scene.lasts(&again, NOW));
    let last = scene.try_in("tom", "another horse battery", NOW).unwrap().secret;
    users::delete(&scene.core, &Actor::new("user tim"), &name("tom")).unwrap();
    assert!(!scene.lasts(&last, NOW));
    assert_eq!(scene.stored_sessions(), 1);
    assert_eq!(
        scene.audit(9),
        [
            "user tim: delete-user user \"tom\"",
            "user tom: sign-in user \"tom\"",
            "user tim: set-password user \"tom\"",
            "user tom: sign-in user \"tom\"",
            "192.0.2.1: sign-in-failed user \"tom\"",
            "user tom: set-password user \"tom\"",
            "user tom: sign-out user \"tom\"",
            "user tom: sign-in user \"tom\"",
            "user tom: sign-in user \"tom\"",
        ]
    );
}

#[test]
fn who_guesses_waits_and_learns_nothing() {
    let scene = Scene::new();
    let (mut wrong, mut unknown, mut odd) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..=FREE_FAILURES_OF_USER {
        wrong.push(scene.try_in("tim", "wrong horse battery", NOW).unwrap_err());
        unknown.push(scene.try_in("nobody", PASSWORD, NOW).unwrap_err());
        odd.push(scene.try_in("no/name\n", PASSWORD, NOW).unwrap_err());
    }
    assert_eq!((&wrong, &wrong), (&unknown, &odd), "whatever is wrong, the answer is the same");
    let last = wrong.pop().unwrap();
    assert!(wrong.iter().all(|problem| problem.status == 401));
    assert_eq!((last.status, last.retry_after), (429, Some(30)));
    assert!(last.detail.ends_with("have failed; wait 30s, then try again"), "{last}");
    assert_eq!(scene.try_in("tim", PASSWORD, NOW + 29_000).unwrap_err().status, 429, "nor does the right one help");
    scene.try_in("tim", PASSWORD, NOW + 30_000).unwrap();
    scene.try_in("tim", "wrong horse battery", NOW + 30_000).unwrap_err();
    scene.try_in("tim", PASSWORD, NOW + 30_000).unwrap();
    let lines = scene.audit(100);
    assert!(lines.contains(&"192.0.2.1: sign-in-failed user \"tim\"".to_owned()), "{lines:?}");
    assert!(lines.contains(&"192.0.2.1: sign-in-failed a user that does not exist".to_owned()), "{lines:?}");
    // What was typed as a name may be a password.
    assert!(!lines.iter().any(|line| line.contains("nobody") || line.contains("no/name")), "{lines:?}");
}

#[test]
fn of_one_user_the_oldest_session_goes_when_there_are_too_many() {
    let scene = Scene::new();
    let sessions: Vec<Secret> =
        (0..MAX_SESSIONS_OF_USER as u64).map(|number| scene.begin("tim", NOW + number)).collect();
    let others = scene.begin("tom", NOW);
    scene.used(&sessions[0], NOW + MINUTE).unwrap();
    let one_more = scene.begin("tim", NOW + MINUTE);
    let lasting = sessions.iter().filter(|secret| scene.lasts(secret, NOW + MINUTE)).count();
    assert_eq!(lasting, MAX_SESSIONS_OF_USER - 1);
    assert!(!scene.lasts(&sessions[1], NOW + MINUTE), "the one that was not used for longest");
    assert!(scene.lasts(&sessions[0], NOW + MINUTE) && scene.lasts(&one_more, NOW + MINUTE));
    assert!(scene.lasts(&others, NOW + MINUTE));
}

#[test]
fn people_of_an_identity_provider_are_what_its_claims_say_each_time() {
    let scene = Scene::new();
    let ann = |groups: &str| serde_json::json!({"preferred_username": "ann", "groups": [groups]});
    let first = scene.identity("7", ann("admins"), NOW).unwrap();
    assert_eq!((first.caller.who().as_str(), first.caller.role), ("user ann", Role::Admin));
    let second = scene.identity("7", ann("admins"), NOW).unwrap();
    assert!(scene.lasts(&first.secret, NOW) && scene.lasts(&second.secret, NOW));
    // With another role, what was opened with the old one ends.
    let third = scene.identity("7", ann("staff"), NOW).unwrap();
    assert_eq!((third.caller.role, third.caller.tenant), (Role::Reader, Some(name("default"))));
    assert!(!scene.lasts(&first.secret, NOW) && !scene.lasts(&second.secret, NOW) && scene.lasts(&third.secret, NOW));
    // The name may change there; the subject is who it is.
    let renamed = serde_json::json!({"preferred_username": "ann2", "groups": ["staff"]});
    assert_eq!(scene.identity("7", renamed, NOW).unwrap().caller.name, name("ann"));
    assert_eq!(scene.audit(1), ["user ann: sign-in user \"ann\""]);
    let renamed = serde_json::json!({"preferred_username": "ann2", "groups": ["admins"]});
    let fourth = scene.identity("7", renamed, NOW).unwrap();
    assert_eq!(scene.audit(2), ["user ann: sign-in user \"ann\"", "user ann: configure-user user \"ann\""]);
    assert!(!scene.lasts(&third.secret, NOW) && scene.lasts(&fourth.secret, NOW));
    let third = scene.identity("7", ann("staff"), NOW).unwrap();
    for (subject, claims, status, why) in [
        ("8", ann("staff"), 403, "the name \"ann\" is another user's"),
        ("9", serde_json::json!({"preferred_username": "tim", "groups": "admins"}), 403, "\"tim\" is another user's"),
        ("7", ann("guests"), 403, "no rule of the controller says what you may do"),
        ("9", serde_json::json!({"sub": "9", "groups": "green"}), 422, "there is no tenant \"green\""),
    ] {
        let problem = scene.identity(subject, claims, NOW).unwrap_err();
        assert!(problem.status == status && problem.detail.contains(why), "{problem}");
    }
    assert_eq!(scene.audit(1), ["192.0.2.9: sign-in-failed \"7\" of https://id.example"]);
    // No password is any good, and none can be set.
    assert_eq!(scene.try_in("ann", PASSWORD, NOW).unwrap_err().status, 401);
    let tim = users::caller(&name("tim"), &scene.core.state().users[&name("tim")].clone());
    let problem = users::set_password(&scene.core, &tim, &name("ann"), &NewPassword::default(), NOW).unwrap_err();
    assert!(problem.detail.contains("signs in with https://id.example"), "{problem}");
    let scene = scene.restart(Some(openid(RULES)));
    assert!(scene.lasts(&third.secret, NOW));
    // Where the controller asks that provider no longer, its word counts no longer.
    let scene = scene.restart(None);
    let problem = scene.used(&third.secret, NOW).unwrap_err();
    assert_eq!(problem.detail, "the controller trusts https://id.example no longer; sign in again");
    assert_eq!(scene.identity("7", ann("staff"), NOW).unwrap_err().status, 404);
}

#[test]
fn sessions_of_an_identity_provider_end_when_what_admitted_them_changes() {
    let scene = Scene::new();
    let groups = |name: &str, group: &str| serde_json::json!({"preferred_username": name, "groups": [group]});
    let ann = scene.identity("7", groups("ann", "admins"), NOW).unwrap().secret;
    let eve = scene.identity("8", groups("eve", "staff"), NOW).unwrap().secret;
    let tim = scene.begin("tim", NOW);
    let lasting = |scene: &Scene| [&ann, &eve, &tim].map(|secret| scene.lasts(secret, NOW + MINUTE));
    assert_eq!(lasting(&scene), [true; 3]);
    // Rules that are asked after the one that fitted change nothing for whom it fitted.
    let (first, rest) = RULES.split_at(RULES.find("{claim: groups, value: staff").unwrap());
    let last = "{claim: groups, value: guests, role: reader}";
    let scene = scene.restart(Some(openid(&format!("{RULES}, {last}"))));
    assert_eq!(lasting(&scene), [true; 3]);
    let scene = scene.restart(Some(openid(&format!("{first}{last}"))));
    assert_eq!(lasting(&scene), [true, false, true]);
    let problem = scene.used(&eve, NOW + MINUTE).unwrap_err();
    assert_eq!(problem.detail, "what users of https://id.example may do here has been changed; sign in again");
    // A rule before it may fit as well.
    let scene = scene.restart(Some(openid(&format!("{last}, {first}{rest}"))));
    assert_eq!(lasting(&scene), [false, false, true]);
    let scene = scene.restart(Some(openid(&RULES.replace("role: admin", "role: reader"))));
    assert_eq!(lasting(&scene), [false, false, true]);
    // Signing in again is all that it takes.
    let ann = scene.identity("7", groups("ann", "admins"), NOW).unwrap();
    assert_eq!(ann.caller.role, Role::Reader);
}

#[test]
fn a_change_by_somebody_else_leaves_sessions_as_used_as_they_are() {
    let scene = Scene::new();
    let secret = scene.begin("tim", NOW);
    scene.used(&secret, NOW + 4 * MINUTE).unwrap();
    // Another controller over the same store has written, so that this one reads it anew.
    scene
        .core
        .store
        .commit(Transaction { puts: vec![("x".to_owned(), Vec::new())], ..Transaction::default() })
        .unwrap();
    scene.create("eve", Role::Admin, None);
    assert!(scene.core.state().users.contains_key(&name("eve")));
    assert!(scene.lasts(&secret, NOW + 4 * MINUTE + HOUR - 1) && !scene.lasts(&secret, NOW + 4 * MINUTE + HOUR));
}
