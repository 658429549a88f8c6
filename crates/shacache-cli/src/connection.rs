//! From the options and the configuration file to a client: flags win over the environment, the
//! environment wins over the file.

use shacache_client::Client;
use shacache_client::config::{Config, Endpoint, Service};

use crate::args::ServerArgs;
use crate::exit::Usage;

/// A client of the server that the options name.
pub(crate) fn open(args: &ServerArgs) -> anyhow::Result<Client> {
    Ok(Client::new(&config(args)?)?)
}

/// What the options add up to.
pub(crate) fn config(args: &ServerArgs) -> anyhow::Result<Config> {
    let mut config = match &args.server {
        Some(url) => Config::for_server(url)?,
        None => Config::default(),
    };
    if let Some(url) = &args.cache_url {
        replace(&mut config.cache, url.parse()?);
    }
    if let Some(url) = &args.dir_url {
        replace(&mut config.directory, url.parse()?);
    }
    let nowhere = |service: &Service| service.download.is_none() && service.upload.is_none();
    if nowhere(&config.cache) && nowhere(&config.directory) {
        return Err(Usage("no server: give --server URL, or -c with a slapos.cfg".into()).into());
    }
    Ok(config)
}

/// The addresses change, the certificates stay.
fn replace(service: &mut Service, endpoint: Endpoint) {
    service.download = Some(endpoint.clone());
    service.upload = Some(endpoint);
}
