//! The tokens and passwords that `shacached token` made: found by what a client sends, listed,
//! added and revoked. They are kept in one file of the data folder, which [`mod@file`] reads and
//! writes. Must not know requests.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::name::{Name, NameError};
use super::password::PasswordHash;
use super::rights::{KeyPattern, Rights, Role};
use super::secret::{Secret, Sha256};

mod file;

pub use self::file::TokensError;

/// All tokens and passwords of one data folder.
#[derive(Debug)]
pub struct Tokens {
    path: PathBuf,
    records: RwLock<Arc<Records>>,
    /// Held from reading the records to writing them.
    changing: Mutex<()>,
}

/// What is known at one moment.
#[derive(Debug, Default)]
struct Records {
    all: Vec<Record>,
    by_id: HashMap<String, (Sha256, Arc<Record>)>,
    /// Of passwords that are not revoked.
    by_name: HashMap<Name, Arc<Record>>,
}

/// One token or password.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) name: Name,
    pub(crate) rights: Arc<Rights>,
    pub(crate) proof: Proof,
    /// Whether it may be sent in a query.
    pub(crate) in_query: bool,
    pub(crate) created: Timestamp,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) revoked: Option<Timestamp>,
}

/// What shows that somebody has the secret of a record.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    /// Of a token.
    Token(Sha256),
    /// Of a password.
    Password(PasswordHash),
}

impl Record {
    /// Whether it counts at all.
    pub(crate) fn is_good(&self) -> bool {
        let is_over = self.expires.is_some_and(|expires| expires <= Timestamp::now());
        self.revoked.is_none() && !is_over
    }
}

impl Tokens {
    /// Reads the tokens of the data folder at `data`.
    ///
    /// # Errors
    /// When the file cannot be read, or is not one that this version wrote.
    pub fn open(data: &Path) -> Result<Self, TokensError> {
        let path = data.join(FILE);
        let records = Records::of(file::read(&path)?);
        Ok(Self { path, records: RwLock::new(Arc::new(records)), changing: Mutex::default() })
    }

    /// Reads the file again; it keeps what it has if that fails.
    ///
    /// # Errors
    /// As [`Tokens::open`].
    pub fn reload(&self) -> Result<(), TokensError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.read_again().map(drop)
    }

    /// Makes a token or a password that can be used when this returns. Blocking.
    ///
    /// # Errors
    /// When the name is none or has a password already, the password is too short, or the file
    /// cannot be written.
    pub fn add(&self, new: NewToken) -> Result<Added, TokensError> {
        let NewToken { name, roles, keys, expires_in_days, in_query, password } = new;
        let name: Name = name.parse()?;
        if roles.is_empty() {
            return Err(TokensError::NoRole);
        }
        let secret = Secret::new();
        let proof = match &password {
            None => Proof::Token(secret.sha256()),
            Some(password) if password.chars().count() < SHORTEST_PASSWORD => {
                return Err(TokensError::ShortPassword);
            }
            Some(password) if Secret::is_meant_by(password) => {
                return Err(TokensError::PasswordLikeToken);
            }
            Some(password) => Proof::Password(PasswordHash::of(password)),
        };
        let created = Timestamp::now();
        let expires = expires_in_days.map(|days| {
            let days = SignedDuration::from_hours(24 * i64::from(days));
            created.checked_add(days).map_err(|_| TokensError::Expiry)
        });
        let record = Record {
            id: secret.id().to_owned(),
            name: name.clone(),
            rights: Arc::new(Rights { roles, keys }),
            proof,
            in_query,
            created,
            expires: expires.transpose()?,
            revoked: None,
        };

        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let records = self.read_again()?;
        if password.is_some() && records.by_name.contains_key(&name) {
            return Err(TokensError::HasPassword(name));
        }
        let mut all = records.all.clone();
        all.push(record);
        self.keep(all)?;
        let token = password.is_none().then(|| secret.reveal());
        Ok(Added { id: secret.id().to_owned(), token })
    }

    /// Takes back what has this id, or everything that has this name; gives the ids. They do not
    /// count any more when this returns. Blocking.
    ///
    /// # Errors
    /// When there is none, or the file cannot be written.
    pub fn revoke(&self, which: &str) -> Result<Vec<String>, TokensError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.read_again()?.all.clone();
        let mut ids = Vec::new();
        let now = Timestamp::now();
        for record in &mut all {
            let is_meant = record.id == which || record.name.as_str() == which;
            if is_meant && record.revoked.is_none() {
                record.revoked = Some(now);
                ids.push(record.id.clone());
            }
        }
        if ids.is_empty() {
            return Err(TokensError::None(which.to_owned()));
        }
        self.keep(all)?;
        Ok(ids)
    }

    /// All of them, without their secrets, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        self.records().all.iter().map(Listed::of).collect()
    }

    /// Whether there is one that counts.
    pub(crate) fn any_good(&self) -> bool {
        self.records().all.iter().any(Record::is_good)
    }

    /// The record of this token. That there is another one of its id takes no longer to find out
    /// than that there is none.
    pub(crate) fn token(&self, secret: &Secret) -> Option<Arc<Record>> {
        let records = self.records();
        let found = records.by_id.get(secret.id());
        let is_proven = secret.is(found.map_or(&Sha256::OF_NOTHING, |(sha256, _)| sha256));
        found.filter(|_| is_proven).map(|(_, record)| Arc::clone(record))
    }

    /// The record of the password of this name.
    pub(crate) fn password(&self, name: &str) -> Option<Arc<Record>> {
        let name = name.parse::<Name>().ok()?;
        self.records().by_name.get(&name).map(Arc::clone)
    }

    /// Makes what is on disk what counts. Nothing is changed without this: somebody may have put
    /// another file in place, which must not be written over unread.
    fn read_again(&self) -> Result<Arc<Records>, TokensError> {
        self.set(Records::of(file::read(&self.path)?));
        Ok(self.records())
    }

    /// Makes `all` what is on disk, then what counts.
    fn keep(&self, all: Vec<Record>) -> Result<(), TokensError> {
        file::write(&self.path, &all)?;
        self.set(Records::of(all));
        Ok(())
    }

    fn set(&self, records: Records) {
        *self.records.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(records);
    }

    fn records(&self) -> Arc<Records> {
        Arc::clone(&self.records.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Records {
    fn of(all: Vec<Record>) -> Self {
        let mut records = Self::default();
        for record in &all {
            let found = Arc::new(record.clone());
            match &record.proof {
                Proof::Token(sha256) => {
                    records.by_id.insert(record.id.clone(), (sha256.clone(), found));
                }
                Proof::Password(_) if record.revoked.is_none() => {
                    records.by_name.insert(record.name.clone(), found);
                }
                Proof::Password(_) => {}
            }
        }
        Self { all, ..records }
    }
}

/// What `shacached token new` asks for.
#[derive(Debug, Deserialize, Serialize)]
pub struct NewToken {
    /// Whose it is to be.
    pub name: String,
    /// What it may.
    pub roles: Vec<Role>,
    /// Under which keys it may put entries.
    pub keys: Vec<KeyPattern>,
    /// For how long it is good; without it, until it is revoked.
    pub expires_in_days: Option<u32>,
    /// Whether it may be sent in a query.
    pub in_query: bool,
    /// A password of the user's own in place of a token.
    pub password: Option<String>,
}

/// What came of it.
#[derive(Debug, Deserialize, Serialize)]
pub struct Added {
    /// What it is listed under.
    pub id: String,
    /// The token, which nothing shows again; `None` for a password.
    pub token: Option<String>,
}

/// What `shacached token list` shows of one.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Listed {
    /// What it can be revoked by.
    pub id: String,
    /// Whose it is.
    pub name: String,
    /// "token", "query token" or "password".
    pub kind: String,
    /// What it may.
    pub rights: Rights,
    /// When it was made.
    pub created: Timestamp,
    /// Until when it is good.
    pub expires: Option<Timestamp>,
    /// When it was taken back.
    pub revoked: Option<Timestamp>,
}

impl Listed {
    fn of(record: &Record) -> Self {
        let kind = match record.proof {
            Proof::Password(_) => "password",
            Proof::Token(_) if record.in_query => "query token",
            Proof::Token(_) => "token",
        };
        Self {
            id: record.id.clone(),
            name: record.name.to_string(),
            kind: kind.to_owned(),
            rights: Rights::clone(&record.rights),
            created: record.created,
            expires: record.expires,
            revoked: record.revoked,
        }
    }
}

impl From<NameError> for TokensError {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}

const FILE: &str = "state/tokens.json";
const SHORTEST_PASSWORD: usize = 12;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn data() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("state")).unwrap();
        folder
    }

    fn new(name: &str) -> NewToken {
        NewToken {
            name: name.to_owned(),
            roles: vec![Role::Upload],
            keys: vec![KeyPattern::all()],
            expires_in_days: None,
            in_query: false,
            password: None,
        }
    }

    #[test]
    fn what_was_added_is_there_after_a_restart_and_revoked_for_good() {
        let folder = data();
        let tokens = Tokens::open(folder.path()).unwrap();
        let added = tokens.add(new("builder")).unwrap();
        let secret: Secret = added.token.unwrap().parse().unwrap();

        let tokens = Tokens::open(folder.path()).unwrap();
        assert!(tokens.token(&secret).unwrap().is_good());
        let other = secret.reveal();
        let other = format!("{}{}", &other[..other.len() - 8], "00000000");
        assert!(tokens.token(&other.parse().unwrap()).is_none(), "another secret of its id");

        assert_eq!(tokens.revoke("builder").unwrap(), [added.id]);
        assert!(!tokens.token(&secret).unwrap().is_good());
        let tokens = Tokens::open(folder.path()).unwrap();
        assert!(!tokens.token(&secret).unwrap().is_good());
        assert!(matches!(tokens.revoke("builder"), Err(TokensError::None(_))));
    }

    #[test]
    fn the_file_is_for_its_own_user_and_has_no_secrets() {
        let folder = data();
        let tokens = Tokens::open(folder.path()).unwrap();
        let token = tokens.add(new("builder")).unwrap().token.unwrap();
        let password = Some("a long password".to_owned());
        tokens.add(NewToken { password, ..new("me") }).unwrap();
        let path = folder.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(path).unwrap();
        assert!(!text.contains(token.rsplit('_').next().unwrap()), "{text}");
        assert!(!text.contains("a long password"), "{text}");
        assert_eq!(fs::read_dir(folder.path().join("state")).unwrap().count(), 1);
    }

    #[test]
    fn a_name_has_one_password_at_a_time() {
        let folder = data();
        let tokens = Tokens::open(folder.path()).unwrap();
        let password = || NewToken { password: Some("a long password".to_owned()), ..new("me") };
        tokens.add(password()).unwrap();
        assert!(matches!(tokens.add(password()), Err(TokensError::HasPassword(_))));
        assert!(tokens.add(new("me")).is_ok(), "tokens of the same name are another matter");
        tokens.revoke("me").unwrap();
        assert!(tokens.password("me").is_none());
        tokens.add(password()).unwrap();
        assert!(tokens.password("me").is_some());
    }

    #[test]
    fn a_file_put_in_place_meanwhile_is_not_written_over() {
        let (folder, other) = (data(), data());
        let tokens = Tokens::open(folder.path()).unwrap();
        let mine: Secret = tokens.add(new("mine")).unwrap().token.unwrap().parse().unwrap();
        let added = Tokens::open(other.path()).unwrap().add(new("theirs")).unwrap();
        let theirs: Secret = added.token.unwrap().parse().unwrap();
        fs::rename(other.path().join(FILE), folder.path().join(FILE)).unwrap();

        tokens.add(new("another")).unwrap();
        for tokens in [&tokens, &Tokens::open(folder.path()).unwrap()] {
            assert!(tokens.token(&theirs).is_some() && tokens.token(&mine).is_none());
            assert_eq!(tokens.list().len(), 2);
        }
        fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(tokens.revoke("theirs").is_err() && tokens.add(new("a")).is_err());
        assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), "{");
    }

    #[test]
    fn two_of_one_id_are_a_damaged_file() {
        let folder = data();
        let tokens = Tokens::open(folder.path()).unwrap();
        tokens.add(new("builder")).unwrap();
        let good = fs::read_to_string(folder.path().join(FILE)).unwrap();
        tokens.revoke("builder").unwrap();
        let revoked = fs::read_to_string(folder.path().join(FILE)).unwrap();
        // As whoever joins two copies of it by hand would: one says that it is revoked.
        let mut joined: serde_json::Value = serde_json::from_str(&revoked).unwrap();
        let good: serde_json::Value = serde_json::from_str(&good).unwrap();
        joined["tokens"].as_array_mut().unwrap().push(good["tokens"][0].clone());
        fs::write(folder.path().join(FILE), joined.to_string()).unwrap();
        let error = Tokens::open(folder.path()).unwrap_err();
        assert!(matches!(error, TokensError::Content { .. }), "{error}");
    }

    #[test]
    fn refuses_what_protects_nothing() {
        let folder = data();
        let tokens = Tokens::open(folder.path()).unwrap();
        for (wrong, expected) in [
            (NewToken { password: Some("elevenchars".to_owned()), ..new("a") }, "at least 12"),
            (NewToken { password: Some("shacache_password".to_owned()), ..new("a") }, "begins"),
            (NewToken { roles: vec![], ..new("a") }, "role"),
            (new(""), "name"),
            (new("a b"), "name"),
            (new("a:b"), "name"),
        ] {
            let error = tokens.add(wrong).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(tokens.list().is_empty());
    }

    #[test]
    fn a_damaged_file_is_an_error_and_not_an_empty_list() {
        let folder = data();
        for text in ["", "{}", "{\"version\": 2, \"tokens\": []}", "[", "null"] {
            fs::write(folder.path().join(FILE), text).unwrap();
            assert!(Tokens::open(folder.path()).is_err(), "{text}");
        }
    }
}
