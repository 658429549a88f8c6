//! `GET /signers` and its kin: whose signatures count here, told to people and to programs, and as
//! lists ready to be used elsewhere. Must not know how certificates are read or verified.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use jiff::Timestamp;
use serde_json::{Value, json};
use shacache_core::trust::Certificate;
use shacache_core::wire::{CACHE_AFTER_ASKING, TEXT_MEDIA_TYPE};
use shacache_store::directory::Signers;

use super::call::Call;

/// `/signers`: every listed signer as JSON.
pub(crate) async fn json(call: Call, _: Request) -> Response {
    let signers = call.app().store().directory().signers();
    let all = signers.trust().certificates().iter();
    let all: Vec<Value> = all.map(|certificate| describe(&signers, certificate)).collect();
    answer("application/json", format!("{}\n", Value::Array(all)))
}

/// `/signers.pem`: the certificates of all that are not revoked, each below its name.
pub(crate) async fn pem(call: Call, _: Request) -> Response {
    let signers = call.app().store().directory().signers();
    let mut text = String::new();
    for certificate in in_force(&signers) {
        let name = printable(certificate.common_name().unwrap_or("no name"));
        text += &format!("{name}, {}\n", certificate.public_key().fingerprint());
        text += &certificate.to_pem();
    }
    answer(PEM_MEDIA_TYPE, text)
}

/// `/signers.cfg`: the same as an option of the `[networkcache]` section of slapos.cfg.
pub(crate) async fn slapos(call: Call, _: Request) -> Response {
    let signers = call.app().store().directory().signers();
    let mut text = "signature-certificate-list =\n".to_owned();
    for certificate in in_force(&signers) {
        for line in certificate.to_pem().lines() {
            text += &format!("  {line}\n");
        }
    }
    answer(TEXT_MEDIA_TYPE, text)
}

fn describe(signers: &Signers, certificate: &Certificate) -> Value {
    let key = certificate.public_key();
    let revocation = signers.revocation_of(key.fingerprint());
    let time = |time: Result<Timestamp, jiff::Error>| time.ok().map(|time| time.to_string());
    json!({
        "name": certificate.common_name(),
        "fingerprint": key.fingerprint().to_string(),
        "kind": key.kind(),
        "bits": key.bits(),
        "not-before": time(Timestamp::from_second(certificate.not_before())),
        "not-after": time(Timestamp::from_second(certificate.not_after())),
        "revoked-since": revocation
            .and_then(|revocation| time(Timestamp::from_microsecond(revocation.since_us))),
    })
}

/// Who trusts a key elsewhere cannot tell what it signed before it got out of hand: a revoked one
/// is not handed on.
fn in_force(signers: &Signers) -> impl Iterator<Item = &Certificate> {
    let all = signers.trust().certificates().iter().map(|certificate| &**certificate);
    all.filter(|certificate| {
        signers.revocation_of(certificate.public_key().fingerprint()).is_none()
    })
}

/// A name is whatever the certificate's maker chose; it must not look like another line.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() || c == '-' { ' ' } else { c }).collect()
}

fn answer(media_type: &'static str, body: String) -> Response {
    ([(CONTENT_TYPE, media_type), (CACHE_CONTROL, CACHE_AFTER_ASKING)], body).into_response()
}

/// RFC 8555, section 9.1.
pub(super) const PEM_MEDIA_TYPE: &str = "application/pem-certificate-chain";
