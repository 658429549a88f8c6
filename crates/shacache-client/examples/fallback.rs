//! A download cache in front of an origin: whatever is wrong with the cache, the program goes on.
//!
//! `cargo run --example fallback -- slapos.cfg http://example.com/hello.tar.gz`

use std::env;
use std::error::Error;
use std::path::Path;

use shacache_client::config::{Config, Networkcache, Purpose};
use shacache_client::selection::Selection;
use shacache_client::{Client, ClientError, Subject};

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(file), Some(url)) = (arguments.next(), arguments.next()) else {
        return Err("usage: fallback CONFIG URL".into());
    };
    let config = Networkcache::from_file(Path::new(&file))?.config(Purpose::Sources)?;
    match cached(&config, &url).await {
        Ok(bytes) => println!("{} bytes from the cache, every one verified", bytes.len()),
        Err(ClientError::NotFound { what }) => println!("not found: {what}; ask the origin"),
        Err(ClientError::Config(error)) => return Err(error.into()),
        Err(error) => println!("the cache is of no use ({error}); ask the origin"),
    }
    Ok(())
}

async fn cached(config: &Config, url: &str) -> Result<Vec<u8>, ClientError> {
    let client = Client::new(config)?;
    let entry = client.lookup(&Subject::Url(url.into()), &Selection::default()).await?;
    client.download(entry.digest()).await?.into_bytes(MAX_BYTES).await
}

const MAX_BYTES: usize = 100 * 1024 * 1024;
