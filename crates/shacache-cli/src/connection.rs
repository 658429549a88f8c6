//! From the options and the configuration file to a client: flags win over the environment, the
//! environment wins over the file.

use std::fs;

use anyhow::Context as _;
use shacache_client::Client;
use shacache_client::config::{Config, Endpoint, Networkcache, Purpose, Service};
use shacache_client::filter::{Criterion, Filter};
use shacache_client::selection::{BindingRule, Selection, TrustRule};
use shacache_client::signer::Signer;
use shacache_core::trust::Trust;

use crate::args::{ServerArgs, TrustArgs};
use crate::exit::Usage;
use crate::talk::Talk;

/// A client of the server that the options name.
pub(crate) fn open(args: &ServerArgs, talk: &Talk) -> anyhow::Result<Client> {
    Ok(Client::new(&config(args, Purpose::Sources, talk)?)?)
}

/// What the options add up to.
pub(crate) fn config(args: &ServerArgs, purpose: Purpose, talk: &Talk) -> anyhow::Result<Config> {
    let mut config = match &args.config {
        Some(path) => Networkcache::from_file(path)?.config(purpose)?,
        None => Config::default(),
    };
    if let Some(url) = &args.server {
        let server = Config::for_server(url)?;
        move_to(&mut config.cache, server.cache.upload);
        move_to(&mut config.directory, server.directory.upload);
    }
    if let Some(url) = &args.cache_url {
        move_to(&mut config.cache, Some(url.parse()?));
    }
    if let Some(url) = &args.dir_url {
        move_to(&mut config.directory, Some(url.parse()?));
    }
    let nowhere = |service: &Service| service.download.is_none() && service.upload.is_none();
    if nowhere(&config.cache) && nowhere(&config.directory) {
        let reason = match (&args.config, purpose) {
            (None, _) => "no server: give --server URL, or -c with a slapos.cfg",
            (Some(_), Purpose::Sources) => {
                "the configuration has no download-cache-url and the like"
            }
            (Some(_), Purpose::Binaries) => {
                "the configuration has no download-binary-cache-url and the like"
            }
        };
        return Err(Usage(reason.into()).into());
    }
    if let Some(path) = &args.trust {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let (more, skipped) = Trust::from_pem_list(&text);
        for certificate in skipped {
            talk.warn(&format!("{}: {certificate}", path.display()));
        }
        let all = config.trust.certificates().iter().chain(more.certificates());
        config.trust = all.map(|certificate| (**certificate).clone()).collect();
    }
    if let Some(path) = &args.sign_key {
        config.signer = Some(Signer::from_file(path)?);
    }
    Ok(config)
}

/// What entries have to be, as the options say.
pub(crate) fn selection(args: &TrustArgs, filter: Vec<Criterion>) -> Selection {
    Selection {
        filter: Filter::new(filter),
        trust: if args.no_trust { TrustRule::Anything } else { TrustRule::Required },
        binding: if args.any_key_binding { BindingRule::AnyKey } else { BindingRule::Required },
    }
}

/// The addresses change, the certificates stay.
fn move_to(service: &mut Service, endpoint: Option<Endpoint>) {
    service.download.clone_from(&endpoint);
    service.upload = endpoint;
}
