//! The `[networkcache]` section of slapos.cfg → [`Config`]. Unknown options are ignored, as the old
//! client does; a value that cannot be used is named with its file and line.

use std::fs;
use std::path::{Path, PathBuf};

use shacache_core::trust::Trust;

use super::ini::{Ini, IniOption};
use super::{Config, ConfigError, Endpoint, Service, TlsFiles};
use crate::signer::Signer;

/// The section as read, before anything in it is used.
#[derive(Debug, Clone)]
pub struct Networkcache {
    file: Box<str>,
    options: Vec<IniOption>,
}

/// Which of the section's addresses are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `download-cache-url` and its three companions.
    Sources,
    /// `download-binary-cache-url` and its three companions.
    Binaries,
}

impl Networkcache {
    /// Reads a file.
    ///
    /// # Errors
    /// When the file cannot be read, is not in the format, or lacks the section.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: file.as_str().into(), source })?;
        Self::from_text(&text, &file)
    }

    /// Reads the text of a file that messages call `file`.
    ///
    /// # Errors
    /// When the text is not in the format or lacks the section.
    pub fn from_text(text: &str, file: &str) -> Result<Self, ConfigError> {
        let options = Ini::read(text)
            .and_then(|ini| ini.section("networkcache"))
            .map_err(|source| ConfigError::Ini { file: file.into(), source })?;
        Ok(Self { file: file.into(), options })
    }

    /// The options as they will be used, interpolated.
    #[must_use]
    pub fn options(&self) -> &[IniOption] {
        &self.options
    }

    /// Checks every value and loads the key and the certificates that entries are verified with.
    /// Certificates that cannot be used are skipped with a warning in the log.
    ///
    /// # Errors
    /// When a value cannot be used, or the private key has no certificate among the trusted ones
    /// although there is a directory to read.
    pub fn config(&self, purpose: Purpose) -> Result<Config, ConfigError> {
        let names = Names::of(purpose);
        let config = Config {
            cache: Service {
                download: self.endpoint(names.download_cache)?,
                upload: self.endpoint(names.upload_cache)?,
                tls: self.tls("shacache-ca-file", "shacache-cert-file", "shacache-key-file"),
            },
            directory: Service {
                download: self.endpoint(names.download_dir)?,
                upload: self.endpoint(names.upload_dir)?,
                tls: self.tls("shadir-ca-file", "shadir-cert-file", "shadir-key-file"),
            },
            trust: self.trust(),
            signer: self.signer()?,
            ..Config::default()
        };
        if let Some(signer) = &config.signer
            && config.directory.download.is_some()
            && !config
                .trust
                .certificates()
                .iter()
                .any(|certificate| certificate.public_key().spki_der() == signer.spki_der())
        {
            return Err(ConfigError::NoMatchingCertificate);
        }
        Ok(config)
    }

    fn endpoint(&self, name: &str) -> Result<Option<Endpoint>, ConfigError> {
        let Some(option) = self.option(name) else { return Ok(None) };
        let endpoint = option.value().parse().map_err(|source| self.at(option, source))?;
        Ok(Some(endpoint))
    }

    fn tls(&self, ca: &str, certificate: &str, key: &str) -> TlsFiles {
        let path = |name| self.option(name).map(|option| PathBuf::from(option.value()));
        TlsFiles { ca: path(ca), certificate: path(certificate), key: path(key) }
    }

    fn trust(&self) -> Trust {
        let Some(option) = self.option("signature-certificate-list") else {
            return Trust::default();
        };
        let (trust, skipped) = Trust::from_pem_list(option.value());
        for certificate in skipped {
            tracing::warn!("{}:{}: {certificate}", self.file, option.line());
        }
        trust
    }

    fn signer(&self) -> Result<Option<Signer>, ConfigError> {
        let Some(option) = self.option("signature-private-key-file") else { return Ok(None) };
        let signer = Signer::from_file(Path::new(option.value()))
            .map_err(|source| self.at(option, source))?;
        Ok(Some(signer))
    }

    /// An option that is there and says something.
    fn option(&self, name: &str) -> Option<&IniOption> {
        self.options.iter().find(|option| option.name() == name && !option.value().is_empty())
    }

    fn at(&self, option: &IniOption, source: ConfigError) -> ConfigError {
        ConfigError::Option {
            file: self.file.clone(),
            line: option.line(),
            option: option.name().into(),
            source: Box::new(source),
        }
    }
}

/// What the addresses of a purpose are called.
struct Names {
    download_cache: &'static str,
    upload_cache: &'static str,
    download_dir: &'static str,
    upload_dir: &'static str,
}

impl Names {
    fn of(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Sources => Self {
                download_cache: "download-cache-url",
                upload_cache: "upload-cache-url",
                download_dir: "download-dir-url",
                upload_dir: "upload-dir-url",
            },
            Purpose::Binaries => Self {
                download_cache: "download-binary-cache-url",
                upload_cache: "upload-binary-cache-url",
                download_dir: "download-binary-dir-url",
                upload_dir: "upload-binary-dir-url",
            },
        }
    }
}
