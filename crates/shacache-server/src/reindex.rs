//! `shacached reindex`: by the server that has the data folder open, else right here. The output
//! is the same.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use shacache_server::admin::{self, client};
use shacache_server::config::{self, Overrides};
use shacache_server::log;
use shacache_store::error::StoreError;
use shacache_store::{Store, StoreOptions};
use tokio::runtime::Runtime;

/// Makes the index of the configured data folder anew.
pub(crate) fn run(overrides: &Overrides) -> Result<ExitCode, Box<dyn Error>> {
    let config = config::load(overrides)?;
    log::start(&config);
    let options = StoreOptions::of(config.data().to_owned());
    let report = Runtime::new()?.block_on(async {
        match Store::open_existing(&options) {
            Ok(store) => in_process(&store).await.map_err(Box::<dyn Error>::from),
            Err(StoreError::Locked(_)) => Ok(client::reindex(&options.data).await?),
            Err(error) => Err(error.into()),
        }
    })?;
    io::stdout().write_all(report.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

async fn in_process(store: &Store) -> Result<String, StoreError> {
    let found = store.reindex().await?;
    store.close().await?;
    Ok(admin::report(&found))
}
