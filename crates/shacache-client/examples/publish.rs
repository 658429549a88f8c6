//! Uploads a file without async and signs an entry for it, with progress.
//!
//! `cargo run --example publish -- http://127.0.0.1:8080 key.pem pypi:hello=1.0 hello.tar.gz`

use std::env;
use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use shacache_client::blob::{Payload, Progress};
use shacache_client::blocking::Client;
use shacache_client::config::Config;
use shacache_client::signer::Signer;
use shacache_core::json::Object;
use shacache_core::key::Key;

struct Dots;

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
impl Progress for Dots {
    fn sent(&self, bytes: u64) {
        println!("{bytes} bytes sent");
    }
}

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [server, signing_key, key, file] = arguments.as_slice() else {
        return Err("usage: publish SERVER SIGNING_KEY KEY FILE".into());
    };
    let signer = Signer::from_file(Path::new(signing_key))?;
    let client = Client::new(&Config { signer: Some(signer), ..Config::for_server(server)? })?;

    let payload = Payload::from_file(File::open(file)?)?.watched_by(Arc::new(Dots));
    println!("{:?}", client.upload(&payload)?);

    let key: Key = key.parse()?;
    let mut metadata = Object::new();
    metadata.insert("key", key.as_str());
    let entry = client.index(&key, payload.digest(), &metadata)?;
    println!("{}", entry.metadata_text());
    Ok(())
}
