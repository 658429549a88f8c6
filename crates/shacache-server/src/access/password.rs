//! Passwords: hashed with Argon2id, checked by few at a time and in the same time whether the name
//! is known or not. Must not know what a name may do.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, PasswordHasher as _, Version};
use aws_lc_rs::{constant_time, hmac, rand};
use tokio::sync::Semaphore;

/// What is kept of a password: a text in PHC form, parameters and salt included.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PasswordHash(String);

impl PasswordHash {
    /// Of a new password, with a salt of its own. Takes tens of milliseconds and 19 MiB.
    pub(crate) fn of(password: &str) -> Self {
        let mut salt = [0; 16];
        rand::fill(&mut salt).expect("the system's random numbers never fail once it runs");
        let hash = argon2().hash_password_with_salt(password.as_bytes(), &salt);
        Self(hash.expect("the parameters are good, and passwords are short").to_string())
    }

    /// A hash that was kept.
    pub(crate) fn read(text: &str) -> Option<Self> {
        phc::PasswordHash::new(text).ok()?;
        text.starts_with("$argon2id$").then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is of `password`; `None` when it is of no kind that can be computed. `memory` is
    /// worked in, whatever it is.
    fn is_of(&self, password: &str, memory: &mut Vec<Block>) -> Option<bool> {
        let kept = phc::PasswordHash::new(&self.0).ok()?;
        let (salt, hash) = (kept.salt?, kept.hash?);
        let version = Version::try_from(kept.version?).ok()?;
        let argon2 = Argon2::new(Algorithm::Argon2id, version, Params::try_from(&kept).ok()?);
        memory.resize(argon2.params().block_count(), Block::default());
        let mut found = vec![0; hash.as_bytes().len()];
        argon2
            .hash_password_into_with_memory(password.as_bytes(), &salt, &mut found, memory)
            .ok()?;
        Some(constant_time::verify_slices_are_equal(hash.as_bytes(), &found).is_ok())
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// Checks passwords for the whole server.
#[derive(Debug)]
pub(crate) struct PasswordCheck {
    waiting: Semaphore,
    working: Arc<Semaphore>,
    /// What passwords of unknown names are held against.
    nobody: PasswordHash,
    /// For each that works. Given back and taken again by one thread after another, the allocator
    /// would keep as much for every thread that ever had it.
    memories: Arc<Mutex<Vec<Vec<Block>>>>,
    /// Makes the names of what was found right, so that no password is kept in memory.
    key: hmac::Key,
    right: Mutex<HashMap<Remembered, Instant>>,
}

/// Stands for a hash and the password that it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Remembered([u8; 32]);

impl PasswordCheck {
    pub(crate) fn new() -> Self {
        Self::with_nobody(NOBODY)
    }

    /// One that is done with unknown names at once.
    #[cfg(test)]
    pub(crate) fn quick_about_nobody() -> Self {
        Self::with_nobody(&NOBODY.replacen("m=19456,t=2", "m=8,t=1", 1))
    }

    fn with_nobody(nobody: &str) -> Self {
        let mut key = [0; 32];
        rand::fill(&mut key).expect("the system's random numbers never fail once it runs");
        Self {
            waiting: Semaphore::new(MOST_WAITING),
            working: Arc::new(Semaphore::new(MOST_WORKING)),
            nobody: PasswordHash(nobody.to_owned()),
            memories: Arc::default(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            right: Mutex::default(),
        }
    }

    /// Whether `password` was found to be that of `hash` not long ago.
    pub(crate) fn remembers(&self, hash: &PasswordHash, password: &str) -> bool {
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        let until = right.get(&self.name(hash, password));
        until.is_some_and(|until| *until > Instant::now())
    }

    /// Whether `password` is that of `hash`. Without a hash, since nobody has the name, it is not,
    /// and finding that out takes as long.
    ///
    /// # Errors
    /// When too many wait already.
    pub(crate) async fn check(
        &self,
        hash: Option<&PasswordHash>,
        password: &str,
    ) -> Result<bool, TooBusy> {
        let _place = self.waiting.try_acquire().map_err(|_| TooBusy)?;
        let permit = Arc::clone(&self.working).acquire_owned().await.map_err(|_| TooBusy)?;
        let against = hash.unwrap_or(&self.nobody).clone();
        let (tried, memories) = (password.to_owned(), Arc::clone(&self.memories));
        let checked = tokio::task::spawn_blocking(move || {
            // Held to the end of the work, also when nobody waits for it any more.
            let _permit = permit;
            let memories = || memories.lock().unwrap_or_else(PoisonError::into_inner);
            let mut memory = memories().pop().unwrap_or_default();
            let is_right = against.is_of(&tried, &mut memory).unwrap_or(false);
            memories().push(memory);
            is_right
        });
        let is_right = checked.await.map_err(|_| TooBusy)?;
        let Some(hash) = hash.filter(|_| is_right) else { return Ok(false) };
        self.remember(self.name(hash, password));
        Ok(true)
    }

    fn remember(&self, name: Remembered) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if right.len() >= MOST_REMEMBERED {
            right.retain(|_, until| *until > now);
        }
        if right.len() < MOST_REMEMBERED {
            right.insert(name, now + REMEMBERED_FOR);
        }
    }

    fn name(&self, hash: &PasswordHash, password: &str) -> Remembered {
        // A PHC text has no NUL, so no two pairs are one text.
        let pair = [hash.as_str().as_bytes(), b"\0", password.as_bytes()].concat();
        let mut name = [0; 32];
        name.copy_from_slice(hmac::sign(&self.key, &pair).as_ref());
        Remembered(name)
    }
}

/// More passwords wait to be checked than may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooBusy;

fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

/// The form of a hash, of no password.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2hhY2FjaGUtbm9ib2R5$\
    MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA";
/// Passwords that are checked at once.
const MOST_WORKING: usize = 2;
/// And those that wait, included; at some 40 a second this is under a second.
const MOST_WAITING: usize = 32;
const MOST_REMEMBERED: usize = 1024;
/// How long a right password is not computed again.
const REMEMBERED_FOR: Duration = Duration::from_secs(10 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_right_for_its_own_hash() {
        let (check, hash) = (PasswordCheck::new(), PasswordHash::of("correct"));
        let cost = "$argon2id$v=19$m=19456,t=2,p=1$";
        assert!(hash.as_str().starts_with(cost) && NOBODY.starts_with(cost));
        assert!(PasswordHash::read(hash.as_str()).is_some());
        assert!(PasswordHash::read(NOBODY).is_some());
        assert_eq!(check.check(Some(&hash), "wrong").await, Ok(false));
        assert!(!check.remembers(&hash, "wrong"));
        assert_eq!(check.check(Some(&hash), "correct").await, Ok(true));
        assert!(check.remembers(&hash, "correct"));
        assert!(!check.remembers(&PasswordHash::of("correct"), "correct"), "another hash");
        assert_eq!(check.check(None, "correct").await, Ok(false));
    }

    #[tokio::test]
    async fn no_more_wait_than_may() {
        let check = PasswordCheck::new();
        let _waiting =
            check.waiting.try_acquire_many(u32::try_from(MOST_WAITING).unwrap()).unwrap();
        assert_eq!(check.check(None, "a").await, Err(TooBusy));
    }

    #[test]
    fn only_argon2id_is_read() {
        for text in ["", "x", "$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"] {
            assert!(PasswordHash::read(text).is_none(), "{text}");
        }
    }
}
