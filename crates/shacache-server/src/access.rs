//! Who may do what. [`Access::decide`] is the one place where that is decided, for each request
//! anew: what its route asks for, what the policies say, who sent it. What everybody may
//! ([`Access::is_everybodys`]) needs no decision. Must not know HTTP beyond what a request carries to
//! tell who sent it, nor how a refusal is said.
//!
//! - `policy`: the rules for the whole server.
//! - `identity`, `name`, `rights`: somebody who is known, and what they may.
//! - `credential`: what a request says about its sender.
//! - `tokens`, `secret`, `password`: what `shacached token` makes.
//! - `certificates`: whose certificate a client has shown.
//! - `failures`: how often credentials may be wrong.

mod certificates;
mod credential;
mod failures;
mod identity;
mod name;
mod password;
mod policy;
mod rights;
mod secret;
mod tokens;

pub use self::certificates::AuthoritiesError;
pub use self::identity::IdentitySetting;
pub use self::name::{Name, NameError};
pub use self::policy::{DownloadPolicy, UploadPolicy, UploadSetting};
pub use self::rights::{KeyPattern, Rights, Role, UnknownRole};
pub use self::tokens::{Added, Listed, NewToken, Tokens, TokensError};

pub(crate) use self::credential::{Credential, CredentialError, TOKEN_PARAMETER, without_tokens};

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use shacache_core::key::Key;

use self::certificates::Certificates;
use self::failures::Failures;
use self::identity::Identity;
use self::password::{PasswordCheck, TooBusy};
use self::tokens::{Proof, Record};
use crate::config::Config;
use crate::defence::Defence;
use crate::listen::{Address, ClientCertificate, Peer};

/// What a route asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// Everybody may.
    Nothing,
    /// To get blobs and entries.
    Read,
    /// To store blobs.
    Upload,
    /// To put an entry under the key that the path names.
    Put,
    /// To see what operators see.
    Operate,
    /// To change what is kept. Nobody may because of where they are: a proxy on this machine speaks
    /// for everybody.
    Administer,
}

/// Everything that decides who may do what on one server.
#[derive(Debug)]
pub struct Access {
    setting: UploadSetting,
    download: DownloadPolicy,
    tokens: Tokens,
    certificates: RwLock<Arc<Certificates>>,
    failures: Failures,
    passwords: PasswordCheck,
}

/// Who asks, as far as a request tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender<'a> {
    /// The other end of the connection.
    pub(crate) peer: Option<&'a Peer>,
    /// What the request says, if it could be read.
    pub(crate) credential: &'a Result<Option<Credential>, CredentialError>,
}

/// A right that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    /// To whom; `None` where it does not matter.
    pub(crate) name: Option<Name>,
    /// On which terms.
    pub(crate) terms: Terms,
}

/// What still has to be true of what is uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terms {
    /// Nothing.
    Unconditional,
    /// An entry is signed by a certificate of the server's own list; a blob stays apart until such
    /// an entry names it.
    Signed,
}

/// Why a right is not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("this server is read-only")]
    ReadOnly,
    #[error("this needs credentials")]
    Nobody,
    #[error("this needs credentials that the certificate shown is not")]
    Stranger,
    #[error(transparent)]
    Unreadable(#[from] CredentialError),
    #[error("the credentials are wrong, expired or revoked")]
    Wrong,
    #[error("this token is not for a query; send it in an Authorization header")]
    NotInQuery,
    #[error("{name} does not have the role {role}")]
    Role { name: Name, role: Role },
    #[error("{0} may not put entries under this key")]
    Key(Name),
    #[error("too many wrong credentials; wait")]
    Failures { wait: Duration },
    #[error("too many passwords wait to be checked")]
    Busy,
}

impl Access {
    /// Reads what decides, as configured.
    ///
    /// # Errors
    /// When the tokens of the data folder or a file of authorities cannot be read.
    pub fn open(config: &Config) -> Result<Self, AccessError> {
        Ok(Self {
            setting: config.upload(),
            download: config.download(),
            tokens: Tokens::open(config.data())?,
            certificates: RwLock::new(Arc::new(Certificates::read(config.identities())?)),
            failures: Failures::new(&config.limits().uncapped_addresses),
            passwords: PasswordCheck::new(),
        })
    }

    /// Reads identities, their authorities and the tokens again. Policies stay as they are until
    /// the next start, which the log says where others are configured. All or nothing; requests
    /// under way are not disturbed.
    ///
    /// # Errors
    /// As [`Access::open`].
    pub fn reload(&self, config: &Config) -> Result<(), AccessError> {
        let certificates = Arc::new(Certificates::read(config.identities())?);
        self.tokens.reload()?;
        *self.certificates.write().unwrap_or_else(PoisonError::into_inner) = certificates;
        for (key, is_in_force) in [
            ("upload.policy", config.upload() == self.setting),
            ("download.policy", config.download() == self.download),
        ] {
            if !is_in_force {
                tracing::warn!(key, "what is configured now takes effect at the next start");
            }
        }
        Ok(())
    }

    /// As if no credentials had been wrong yet.
    #[cfg(test)]
    pub(crate) fn forget_failures(&self) {
        self.failures.forget();
    }

    /// The same, done with names that nobody has at once.
    #[cfg(test)]
    pub(crate) fn quick_about_nobody(self) -> Self {
        Self { passwords: PasswordCheck::quick_about_nobody(), ..self }
    }

    /// The tokens.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Who may upload to a server that listens at `addresses`.
    #[must_use]
    pub fn upload_policy<'a>(&self, addresses: impl Iterator<Item = &'a Address>) -> UploadPolicy {
        self.setting.at(addresses)
    }

    /// Whether answers are for those only who asked for them.
    pub(crate) fn is_private(&self) -> bool {
        !self.is_everybodys(Right::Read)
    }

    /// Whether everybody has `right`: [`Access::decide`] grants it, whoever asks.
    pub(crate) fn is_everybodys(&self, right: Right) -> bool {
        match right {
            Right::Nothing => true,
            Right::Read => match self.download {
                DownloadPolicy::Open => true,
                DownloadPolicy::Credentials => false,
            },
            Right::Operate | Right::Administer | Right::Upload | Right::Put => false,
        }
    }

    /// Grants or refuses `right` to `sender`. `key` is what an entry is put under, for
    /// [`Right::Put`].
    pub(crate) async fn decide(
        &self,
        upload: UploadPolicy,
        right: Right,
        key: Option<&Key>,
        sender: Sender<'_>,
    ) -> Result<Grant, Refusal> {
        let open = || Ok(Grant { name: None, terms: Terms::Unconditional });
        match right {
            Right::Nothing => open(),
            Right::Read if self.is_everybodys(right) => open(),
            Right::Read => self.require(Role::Read, sender).await,
            Right::Operate if is_local(sender.peer) => open(),
            Right::Operate | Right::Administer => self.require(Role::Admin, sender).await,
            Right::Upload => match upload {
                UploadPolicy::ReadOnly => Err(Refusal::ReadOnly),
                UploadPolicy::Open => open(),
                UploadPolicy::Credentials | UploadPolicy::CredentialsAndSigned => {
                    self.require(Role::Upload, sender).await
                }
                UploadPolicy::Signed => self.prefer(Role::Upload, sender).await,
            },
            Right::Put => match upload {
                UploadPolicy::ReadOnly => Err(Refusal::ReadOnly),
                UploadPolicy::Open => open(),
                UploadPolicy::Credentials => self.require_key(key, sender).await,
                UploadPolicy::Signed => Ok(Grant { name: None, terms: Terms::Signed }),
                UploadPolicy::CredentialsAndSigned => {
                    let grant = self.require_key(key, sender).await?;
                    Ok(Grant { terms: Terms::Signed, ..grant })
                }
            },
        }
    }

    async fn require(&self, role: Role, sender: Sender<'_>) -> Result<Grant, Refusal> {
        self.require_for(role, |_| true, sender).await
    }

    async fn require_key(&self, key: Option<&Key>, sender: Sender<'_>) -> Result<Grant, Refusal> {
        let may_put = |rights: &Rights| key.is_some_and(|key| rights.may_put(key));
        self.require_for(Role::Put, may_put, sender).await
    }

    /// The role, and for the key at hand, as far as `fits` tells.
    async fn require_for(
        &self,
        role: Role,
        fits: impl FnOnce(&Rights) -> bool,
        sender: Sender<'_>,
    ) -> Result<Grant, Refusal> {
        if !Defence::Rights.is_up() {
            return Ok(Grant { name: None, terms: Terms::Unconditional });
        }
        let Identity { name, rights } = self.known(sender).await?;
        if !rights.may(role) {
            return Err(Refusal::Role { name, role });
        }
        if !fits(&rights) {
            return Err(Refusal::Key(name));
        }
        Ok(Grant { name: Some(name), terms: Terms::Unconditional })
    }

    /// On better terms to those who have the role.
    async fn prefer(&self, role: Role, sender: Sender<'_>) -> Result<Grant, Refusal> {
        Ok(match self.identity(sender).await? {
            Some(Identity { name, rights }) if rights.may(role) => {
                Grant { name: Some(name), terms: Terms::Unconditional }
            }
            Some(Identity { name, .. }) => Grant { name: Some(name), terms: Terms::Signed },
            None => Grant { name: None, terms: Terms::Signed },
        })
    }

    async fn known(&self, sender: Sender<'_>) -> Result<Identity, Refusal> {
        let has_certificate = sender.peer.and_then(Peer::certificate).is_some();
        match self.identity(sender).await? {
            Some(identity) => Ok(identity),
            // Asking for a password helps nobody who cannot have one.
            None if has_certificate || !self.tokens.any_good() => Err(Refusal::Stranger),
            None => Err(Refusal::Nobody),
        }
    }

    /// Who `sender` is. What a request says goes before the certificate of its connection, and is
    /// refused if it is wrong.
    async fn identity(&self, sender: Sender<'_>) -> Result<Option<Identity>, Refusal> {
        match sender.credential {
            Err(error) => Err(Refusal::Unreadable(*error)),
            Ok(Some(credential)) => self.prove(credential, sender.peer).await.map(Some),
            Ok(None) => {
                let certificate = sender.peer.and_then(Peer::certificate);
                Ok(certificate.and_then(|shown| self.certified(shown)))
            }
        }
    }

    fn certified(&self, shown: &ClientCertificate) -> Option<Identity> {
        let certificates = self.certificates.read().unwrap_or_else(PoisonError::into_inner);
        let certificates = Arc::clone(&certificates);
        certificates.identity(shown)
    }

    /// What is right without a try does not wait for those who guess from the same place.
    async fn prove(
        &self,
        credential: &Credential,
        peer: Option<&Peer>,
    ) -> Result<Identity, Refusal> {
        let refusal = match self.right_at_once(credential) {
            Ok(record) => return Ok(record.into()),
            Err(refusal) => refusal,
        };
        let ip = peer.and_then(Peer::ip);
        let attempt = self.failures.begin(ip, credential.claim());
        let attempt = attempt.map_err(|wait| Refusal::Failures { wait })?;
        let Credential::Password { name, password } = credential else {
            return Err(refusal);
        };
        let tried = self.right_password(name, password).await;
        if !matches!(tried, Err(Refusal::Wrong)) {
            attempt.was_none();
        }
        tried.map(Identity::from)
    }

    /// A token, since nobody finds one by trying, or a password that was right a moment ago.
    fn right_at_once(&self, credential: &Credential) -> Result<Arc<Record>, Refusal> {
        let known = match credential {
            Credential::Token(secret)
            | Credential::QueryToken(secret)
            | Credential::NamedToken { secret, .. } => self.tokens.token(secret),
            Credential::Password { name, password } => {
                self.tokens.password(name).filter(|record| match &record.proof {
                    Proof::Password(hash) => self.passwords.remembers(hash, password),
                    Proof::Token(_) => false,
                })
            }
        };
        let record = known.filter(|record| record.is_good()).ok_or(Refusal::Wrong)?;
        match credential {
            Credential::NamedToken { name, .. } if *name != record.name.as_str() => {
                Err(Refusal::Wrong)
            }
            Credential::QueryToken(_) if !record.in_query => Err(Refusal::NotInQuery),
            Credential::Token(_)
            | Credential::QueryToken(_)
            | Credential::NamedToken { .. }
            | Credential::Password { .. } => Ok(record),
        }
    }

    async fn right_password(&self, name: &str, password: &str) -> Result<Arc<Record>, Refusal> {
        let record = self.tokens.password(name);
        let hash = match record.as_ref().map(|record| &record.proof) {
            Some(Proof::Password(hash)) => Some(hash),
            None | Some(Proof::Token(_)) => None,
        };
        let is_right = self.passwords.check(hash, password).await?;
        record.filter(|record| is_right && record.is_good()).ok_or(Refusal::Wrong)
    }
}

impl From<Arc<Record>> for Identity {
    fn from(record: Arc<Record>) -> Self {
        Self { name: record.name.clone(), rights: Arc::clone(&record.rights) }
    }
}

impl From<TooBusy> for Refusal {
    fn from(_: TooBusy) -> Self {
        Self::Busy
    }
}

/// Why it is not known who may do what.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The tokens cannot be read.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// A file of authorities cannot be read.
    #[error(transparent)]
    Authorities(#[from] AuthoritiesError),
}

/// Whether somebody on this machine is at the other end.
fn is_local(peer: Option<&Peer>) -> bool {
    peer.is_some_and(|peer| peer.ip().is_none_or(|ip| ip.is_loopback()))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use futures_util::FutureExt as _;

    use super::*;
    use crate::config::{self, Overrides};

    #[tokio::test]
    async fn passwords_that_nobody_has_time_to_check_are_no_wrong_ones() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("state")).unwrap();
        let data = Some(folder.path().display().to_string());
        let config = config::load(&Overrides { data, ..Overrides::default() }).unwrap();
        let access = Access::open(&config).unwrap();
        let password = "a long password".to_owned();
        let alice = NewToken {
            name: "alice".to_owned(),
            roles: vec![Role::Upload],
            keys: vec![],
            expires_in_days: None,
            in_query: false,
            password: Some(password.clone()),
        };
        access.tokens().add(alice).unwrap();
        let listener: Arc<Address> = Arc::new("192.0.2.0:80".parse().unwrap());
        let try_from = |ip: u32, password: &str| {
            let ip = IpAddr::from(Ipv4Addr::from_bits(0xc633_6400 + ip));
            let peer = Peer::new(Some((ip, 1).into()), Arc::clone(&listener));
            let (name, password) = ("alice".to_owned(), password.to_owned());
            let credential = Credential::Password { name, password };
            let access = &access;
            Box::pin(async move { access.prove(&credential, Some(&peer)).await })
        };
        let mut waiting = Vec::new();
        let refused = loop {
            let mut one = try_from(u32::try_from(waiting.len()).unwrap(), "a wrong password");
            match one.as_mut().now_or_never() {
                None => waiting.push(one),
                Some(refused) => break refused,
            }
        };
        assert_eq!(refused.unwrap_err(), Refusal::Busy);
        for _ in 0..20 {
            assert_eq!(try_from(200, &password).await.unwrap_err(), Refusal::Busy);
        }
        drop(waiting);
        assert_eq!(try_from(200, &password).await.unwrap().name.as_str(), "alice");
    }
}
