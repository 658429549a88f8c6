//! `shacache keygen`: a signing key, readable by its owner alone, and its certificate.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use shacache_client::keygen::KeyPair;
use shacache_core::json::Object;

use crate::args::KeygenArgs;
use crate::output;
use crate::talk::Talk;

/// Makes one pair. Neither file is ever replaced.
pub(crate) fn run(args: &KeygenArgs, talk: &Talk) -> anyhow::Result<ExitCode> {
    let bits = if args.legacy { LEGACY_BITS } else { args.bits };
    if bits < SAFE_BITS {
        talk.warn(&format!("a key of {bits} bits is weak; old clients verify 3072 bits as well"));
    }
    let pair = KeyPair::generate(bits, &args.common_name)?;
    create(&args.key_file, &pair.private_key_pem, 0o600)?;
    let to_stdout = args.cert_file == Path::new("-");
    if !to_stdout {
        create(&args.cert_file, &pair.certificate_pem, 0o644)?;
    }
    if talk.is_json() {
        let mut document = Object::new();
        document.insert("key_file", args.key_file.to_string_lossy().into_owned());
        document.insert("certificate", pair.certificate_pem.as_str());
        output::document(document)?;
    } else if to_stdout {
        output::line(pair.certificate_pem.trim_end())?;
    }
    talk.note("add the certificate to signature-certificate-list to believe what the key signs");
    Ok(ExitCode::SUCCESS)
}

/// Writes a file that must not exist yet.
pub(crate) fn create(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .with_context(|| format!("cannot write {}", path.display()))
}

const LEGACY_BITS: usize = 1024;
const SAFE_BITS: usize = 2048;
