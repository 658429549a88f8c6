//! The `[networkcache]` section of slapos.cfg → [`Config`]. Unknown options are ignored, as the old
//! client does; a value that cannot be used is named with its file and line.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use shacache_core::trust::Trust;

use super::ini::{Ini, IniError, IniOption};
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
        let bytes = fs::read(path)
            .map_err(|source| ConfigError::Read { path: file.as_str().into(), source })?;
        let text = str::from_utf8(&bytes).map_err(|error| ConfigError::Ini {
            file: file.as_str().into(),
            source: IniError::not_utf8(&bytes[..error.valid_up_to()]),
        })?;
        Self::from_text(text, &file)
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
        let config =
            Config { trust: self.trust(), signer: self.signer()?, ..self.services(purpose)? };
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

    /// The two services alone, for a client that neither signs nor judges: nothing of the section's
    /// signing key and trust is looked at.
    ///
    /// # Errors
    /// When a value that is needed for it cannot be used.
    pub fn services(&self, purpose: Purpose) -> Result<Config, ConfigError> {
        let names = Names::of(purpose);
        Ok(Config {
            cache: self.service(names.download_cache, names.upload_cache, &CACHE_FILES)?,
            directory: self.service(names.download_dir, names.upload_dir, &DIRECTORY_FILES)?,
            ..Config::default()
        })
    }

    fn endpoint(&self, name: &str) -> Result<Option<Endpoint>, ConfigError> {
        let Some(option) = self.option(name) else { return Ok(None) };
        let endpoint = option.value().parse().map_err(|source| self.at(option, source))?;
        Ok(Some(endpoint))
    }

    fn service(
        &self,
        download: &str,
        upload: &str,
        files: &TlsOptions,
    ) -> Result<Service, ConfigError> {
        let (download, upload) = (self.endpoint(download)?, self.endpoint(upload)?);
        let secure = [&download, &upload]
            .into_iter()
            .flatten()
            .any(|endpoint| endpoint.as_str().starts_with("https:"));
        if secure {
            self.check_files(files)?;
        }
        let path = |name| self.option(name).map(|option| PathBuf::from(option.value()));
        let tls = TlsFiles {
            ca: path(files.ca),
            certificate: path(files.certificate),
            key: path(files.key),
        };
        Ok(Service { download, upload, tls })
    }

    /// What a file holds shows when it is used; that it is there shows here, with its line.
    fn check_files(&self, files: &TlsOptions) -> Result<(), ConfigError> {
        for option in
            [files.ca, files.certificate, files.key].iter().filter_map(|name| self.option(name))
        {
            File::open(option.value()).map_err(|source| {
                self.at(option, ConfigError::Read { path: option.value().into(), source })
            })?;
        }
        match (self.option(files.key), self.option(files.certificate)) {
            (Some(key), None) => {
                Err(self.at(key, ConfigError::Missing { option: files.certificate }))
            }
            _ => Ok(()),
        }
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

/// What the files of a service are called.
struct TlsOptions {
    ca: &'static str,
    certificate: &'static str,
    key: &'static str,
}

const CACHE_FILES: TlsOptions = TlsOptions {
    ca: "shacache-ca-file",
    certificate: "shacache-cert-file",
    key: "shacache-key-file",
};
const DIRECTORY_FILES: TlsOptions =
    TlsOptions { ca: "shadir-ca-file", certificate: "shadir-cert-file", key: "shadir-key-file" };

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
