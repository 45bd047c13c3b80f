//! Passwords: which may be chosen, how they are made up, and how they are kept: as Argon2id with OWASP's parameters.
//!
//! To hash one takes a processor for 20 ms and 19 MiB, so that few are hashed at a time, and never with a lock held.

use api::Problem;
use api::fabric::accounts::{MAX_PASSWORD, MIN_PASSWORD, Secret};
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use parking_lot::{Condvar, Mutex};

use crate::limits::{MAX_HASHES, MAX_WAITING_HASHES};

/// Made-up passwords have so many groups of so many characters, which are easy to tell apart: 99 bits.
const GROUPS: usize = 4;
const GROUP: usize = 5;
const ALPHABET: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";

/// After how many seconds it makes sense to try again when too many passwords are checked.
const CROWDED: u64 = 5;

/// A hash of no password: what is checked where there is none, so that it takes as long.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGlzIHRoZXJl$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes passwords, few at a time.
#[derive(Default)]
pub struct Passwords {
    gate: Mutex<Gate>,
    freed: Condvar,
}

#[derive(Default)]
struct Gate {
    working: usize,
    waiting: usize,
}

/// A place at work.
struct Place<'a>(&'a Passwords);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.gate.lock().working -= 1;
        self.0.freed.notify_one();
    }
}

impl Passwords {
    /// Waits until there is a place; refuses if many wait already.
    fn enter(&self) -> Result<Place<'_>, Problem> {
        let mut gate = self.gate.lock();
        if gate.working >= MAX_HASHES && gate.waiting >= MAX_WAITING_HASHES {
            let detail = format!("too many passwords are being checked at this time; try again in {CROWDED} s");
            return Err(Problem::too_many_requests(detail, CROWDED));
        }
        gate.waiting += 1;
        while gate.working >= MAX_HASHES {
            self.freed.wait(&mut gate);
        }
        gate.waiting -= 1;
        gate.working += 1;
        Ok(Place(self))
    }

    /// What is kept of a password.
    pub fn hash(&self, password: &Secret) -> Result<String, Problem> {
        let _place = self.enter()?;
        let failed =
            |error: argon2::password_hash::Error| Problem::internal(format!("a password cannot be hashed: {error}"));
        let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>()).map_err(failed)?;
        let hash = hasher().hash_password(password.as_str().as_bytes(), &salt).map_err(failed)?;
        Ok(hash.to_string())
    }

    /// Whether the password is the one of which this is kept. Without anything that is kept it is not, which takes as long
    /// to find out.
    pub fn fits(&self, password: &Secret, kept: Option<&str>) -> Result<bool, Problem> {
        let _place = self.enter()?;
        let shown = Some(password.as_str().as_bytes()).filter(|shown| shown.len() <= MAX_PASSWORD);
        let hash = PasswordHash::new(kept.unwrap_or(NOBODYS))
            .map_err(|error| Problem::internal(format!("what is kept of a password cannot be read: {error}")))?;
        let fits = hasher().verify_password(shown.unwrap_or_default(), &hash).is_ok();
        Ok(fits && shown.is_some() && kept.is_some())
    }
}

fn hasher() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}

/// A password that is hard to guess and easy to type.
pub fn make_up() -> Secret {
    let mut text = String::with_capacity(GROUPS * (GROUP + 1));
    for place in 0..GROUPS * GROUP {
        if place > 0 && place % GROUP == 0 {
            text.push('-');
        }
        text.push(char::from(ALPHABET[rand::random_range(0..ALPHABET.len())]));
    }
    text.into()
}

/// The password that was chosen may be one of this user; else why not.
pub fn check(password: &Secret, user: &str) -> Result<(), Problem> {
    let text = password.as_str();
    let characters = text.chars().count();
    let wrong = if characters < MIN_PASSWORD {
        format!("the password has {characters} characters; choose one of at least {MIN_PASSWORD}")
    } else if text.len() > MAX_PASSWORD {
        format!("the password has {} bytes; choose one of at most {MAX_PASSWORD}", text.len())
    } else if text.eq_ignore_ascii_case(user) {
        "the password is the user's name; choose one that nobody guesses".to_owned()
    } else if text.chars().all(|character| text.starts_with(character)) {
        "the password is one character again and again; choose one that nobody guesses".to_owned()
    } else {
        return Ok(());
    };
    Err(Problem::invalid(wrong))
}

/// The password to set for a user, and the one to tell if it was made up.
pub fn chosen(given: Option<&Secret>, user: &str) -> Result<(Secret, Option<Secret>), Problem> {
    match given {
        Some(given) => check(given, user).map(|()| (given.clone(), None)),
        None => {
            let made = make_up();
            Ok((made.clone(), Some(made)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_what_was_kept_of_it_alone() {
        let passwords = Passwords::default();
        let kept = passwords.hash(&"correct horse battery".into()).unwrap();
        // The parameters of OWASP's password storage cheat sheet, the first of its choices for Argon2id.
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(kept, passwords.hash(&"correct horse battery".into()).unwrap(), "each has a salt of its own");
        let fits = |password: &str, kept: Option<&str>| passwords.fits(&password.into(), kept).unwrap();
        assert!(fits("correct horse battery", Some(&kept)));
        assert!(!fits("correct horse batterz", Some(&kept)) && !fits("", Some(&kept)));
        assert!(!fits("correct horse battery", None) && !fits("", None));
        let long = "x".repeat(MAX_PASSWORD + 1);
        assert!(!fits(&long, Some(&passwords.hash(&long.as_str().into()).unwrap())), "nobody has so long a one");
    }

    #[test]
    fn who_is_not_there_is_checked_with_the_same_work() {
        let kept = Passwords::default().hash(&"x".into()).unwrap();
        let (real, nobodys) = (PasswordHash::new(&kept).unwrap(), PasswordHash::new(NOBODYS).unwrap());
        assert_eq!((real.algorithm, real.version), (nobodys.algorithm, nobodys.version));
        assert_eq!(real.params.to_string(), nobodys.params.to_string());
        assert_eq!(real.hash.unwrap().len(), nobodys.hash.unwrap().len());
    }

    #[test]
    fn no_more_are_hashed_at_once_than_memory_was_given_for() {
        let passwords = Passwords::default();
        let places: Vec<_> = (0..MAX_HASHES).map(|_| passwords.enter().unwrap()).collect();
        std::thread::scope(|scope| {
            let waiting: Vec<_> =
                (0..MAX_WAITING_HASHES).map(|_| scope.spawn(|| passwords.enter().map(drop))).collect();
            while passwords.gate.lock().waiting < MAX_WAITING_HASHES {
                std::thread::yield_now();
            }
            let problem = passwords.enter().map(drop).unwrap_err();
            assert_eq!((problem.status, problem.retry_after), (429, Some(CROWDED)), "{problem}");
            drop(places);
            assert!(waiting.into_iter().all(|thread| thread.join().unwrap().is_ok()));
        });
        assert_eq!(passwords.gate.lock().working, 0);
    }

    #[test]
    fn passwords_that_are_made_up_are_good_and_differ() {
        let (one, other) = (make_up(), make_up());
        assert_ne!(one, other);
        assert_eq!(one.as_str().len(), 23);
        assert!(check(&one, "tim").is_ok());
    }

    #[test]
    fn what_is_no_good_is_refused_with_the_remedy() {
        let refused = |password: &str| check(&password.into(), "a long user name").unwrap_err().detail;
        assert!(refused("short").contains("5 characters; choose one of at least 12"));
        assert!(refused("grün grün g").contains("11 characters"), "characters, not bytes");
        assert!(refused(&"xy".repeat(600)).contains("at most 1024"));
        assert!(refused("A long user name").contains("user's name"));
        assert!(refused("aaaaaaaaaaaaaaa").contains("again and again"));
        assert!(check(&"twelve chars".into(), "tim").is_ok());
    }
}
