//! The OpenAPI 3.1 description of this server, made of the route table and of the verdicts that
//! failures come to, so that neither a route nor a status can be missing. Here stand only what
//! those two do not know: what is sent and answered, as schemas. Must not know handlers.
//!
//! Services on a host of their own are the same operations at the root of that host; they are not
//! described a second time.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use shacache_core::entry::SignedEntry;
use shacache_core::key::Key;
use shacache_core::wire::{
    ACCEPT_RANGES, BLOB_MEDIA_TYPE, ENTRY_MEDIA_TYPE, TEXT_MEDIA_TYPE, UNCLAIMED_SECONDS,
};

use super::error::{PROBLEM, Stage, Verdict};
use super::routes::{Operation, Place, Resource};
use super::signers::PEM_MEDIA_TYPE;
use crate::access::{Right, Role, TOKEN_PARAMETER};
use crate::listen;
use crate::metrics::Metrics;
use crate::mount::Mounts;

mod administration;

/// The document for a server with these routes at these mounts.
pub(crate) fn document(table: &[Resource], mounts: &Mounts) -> Value {
    let mut paths = Map::new();
    let mut repeats = BTreeMap::new();
    for resource in table {
        for path in paths_of(resource, mounts) {
            let mut item = Map::new();
            for operation in &resource.operations {
                let repeat = repeats.entry(operation.name).or_insert(0);
                *repeat += 1;
                for method in methods_of(operation) {
                    let described = describe(resource, operation, &method, &path, *repeat);
                    item.insert(method.as_str().to_ascii_lowercase(), described);
                }
            }
            paths.insert(path, item.into());
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ShaCache",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": { "schemas": schemas(), "securitySchemes": security_schemes() },
    })
}

/// Where a resource is found. A key is never empty, so the path of the empty one is left out.
fn paths_of(resource: &Resource, mounts: &Mounts) -> Vec<String> {
    let below: Vec<&str> = match resource.place {
        Place::Shacache => mounts.shacache().iter().map(|mount| mount.as_str()).collect(),
        Place::Shadir => mounts.shadir().iter().map(|mount| mount.as_str()).collect(),
        Place::Server => vec![""],
    };
    let has_key = resource.paths.iter().any(|path| path.contains("{*"));
    let mut paths = Vec::new();
    for mount in below {
        let rest = resource.paths.iter().filter(|rest| !has_key || rest.contains("{*"));
        paths.extend(rest.map(|rest| format!("{mount}{rest}").replace("{*", "{")));
    }
    paths
}

/// A GET answers HEAD too.
fn methods_of(operation: &Operation) -> Vec<Method> {
    if operation.method == Method::GET {
        vec![Method::GET, Method::HEAD]
    } else {
        vec![operation.method.clone()]
    }
}

fn describe(
    resource: &Resource,
    operation: &Operation,
    method: &Method,
    path: &str,
    repeat: usize,
) -> Value {
    let is_head = *method == Method::HEAD;
    let name =
        if is_head { operation.name.replacen("get", "head", 1) } else { operation.name.into() };
    let id = if repeat == 1 { name } else { format!("{name}{repeat}") };
    let mut responses = BTreeMap::new();
    for status in statuses_of(resource, operation, method) {
        let mut response = Map::new();
        let status_code = StatusCode::from_u16(status).ok();
        let reason = status_code.and_then(|status| status.canonical_reason()).unwrap_or("");
        response.insert("description".into(), reason.into());
        let succeeded = operation.statuses.contains(&status);
        let (content, headers) =
            if succeeded { answer(operation.name, status) } else { (failure(), json!({})) };
        if !is_head && content != Value::Null {
            response.insert("content".into(), content);
        }
        response.insert("headers".into(), headers);
        responses.insert(status.to_string(), response);
    }
    let mut described = json!({
        "operationId": id,
        "summary": operation.summary,
        "parameters": parameters(resource, method, path),
        "responses": responses,
    });
    if let Some(body) = request_body(resource, operation, method) {
        described["requestBody"] = body;
    }
    if let Some(security) = security(operation.right) {
        described["security"] = security;
    }
    described
}

/// Nothing is needed where the policies of a server say so, which the empty one stands for.
fn security(right: Right) -> Option<Value> {
    let role = match right {
        Right::Nothing => return None,
        Right::Read => Role::Read,
        Right::Upload => Role::Upload,
        Right::Put => Role::Put,
        Right::Operate | Right::Administer => Role::Admin,
    };
    let schemes = SCHEMES.map(|scheme| json!({ scheme: [role.to_string()] }));
    // No policy lets anybody change what is kept.
    let nobody = (right != Right::Administer).then(|| json!({}));
    Some(nobody.into_iter().chain(schemes).collect())
}

fn security_schemes() -> Value {
    let [bearer, basic, query, certificate] = SCHEMES;
    json!({
        bearer: {
            "type": "http",
            "scheme": "bearer",
            "description": "A token that `shacached token new` made.",
        },
        basic: {
            "type": "http",
            "scheme": "basic",
            "description": "A name with its password, or with one of its tokens.",
        },
        query: {
            "type": "apiKey",
            "in": "query",
            "name": TOKEN_PARAMETER,
            "description": "A token that was made with `--query`.",
        },
        certificate: {
            "type": "mutualTLS",
            "description": "A certificate of an identity in the server's configuration. Any other \
                            one is taken as well, and gives no rights.",
        },
    })
}

/// What can be answered: what the table says, what any failure on the way comes to, and what the
/// listener answers before there is a request.
fn statuses_of(resource: &Resource, operation: &Operation, method: &Method) -> Vec<u16> {
    let is_part_possible = *method != Method::HEAD;
    let succeeded = operation.statuses.iter().copied();
    let succeeded = succeeded.filter(|status| is_part_possible || *status != 206);
    let passes = |stage: &Stage| match stage {
        Stage::Any => true,
        Stage::Asked => operation.right != Right::Nothing,
        Stage::Read => operation.right == Right::Read,
        Stage::Blob => operation.right == Right::Read && resource.place == Place::Shacache,
        Stage::Part => resource.place == Place::Shacache && *method == Method::GET,
        Stage::Administer => operation.right == Right::Administer,
        Stage::Write => matches!(*method, Method::POST | Method::PUT),
    };
    let failed = Verdict::ALL.iter().filter(|verdict| verdict.stages().iter().any(passes));
    let refused = listen::refusal_statuses();
    let mut statuses: Vec<u16> = succeeded
        .chain(failed.map(|verdict| verdict.status().as_u16()))
        .chain(refused.map(|status| status.as_u16()))
        .collect();
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

fn parameters(resource: &Resource, method: &Method, path: &str) -> Value {
    let mut parameters = Vec::new();
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    if path.contains("{digest}") {
        let schema = if is_read { "AnyDigest" } else { "Digest" };
        parameters.push(parameter("digest", "path", schema));
    }
    if path.contains("{key}") {
        parameters.push(parameter("key", "path", "Key"));
    }
    if is_read && resource.place != Place::Server {
        parameters.push(parameter("If-None-Match", "header", "EntityTags"));
        parameters.push(parameter("If-Match", "header", "EntityTags"));
    }
    if is_read && resource.place == Place::Shadir {
        parameters.push(parameter("signer", "query", "Fingerprint"));
        parameters.push(parameter("verified", "query", "Verified"));
    }
    if *method == Method::GET && resource.place == Place::Shacache {
        parameters.push(parameter("Range", "header", "Range"));
    }
    parameters.into()
}

fn parameter(name: &str, place: &str, schema: &str) -> Value {
    let schema = reference(schema);
    json!({ "name": name, "in": place, "required": place == "path", "schema": schema })
}

fn request_body(resource: &Resource, operation: &Operation, method: &Method) -> Option<Value> {
    if !matches!(*method, Method::POST | Method::PUT) {
        return None;
    }
    // A body that is not there is the empty blob.
    let (required, media_type, schema) = match resource.place {
        Place::Shacache => {
            (false, BLOB_MEDIA_TYPE, json!({ "type": "string", "format": "binary" }))
        }
        Place::Shadir => (true, ENTRY_MEDIA_TYPE, reference("Entry")),
        Place::Server => (true, ENTRY_MEDIA_TYPE, administration::body(operation.name)?),
    };
    Some(json!({ "required": required, "content": { media_type: { "schema": schema } } }))
}

/// Body and headers of an answer that is no failure. A test holds that no operation is missing.
fn answer(operation: &str, status: u16) -> (Value, Value) {
    let tag = || json!({ "ETag": header("EntityTag") });
    let text = |schema: Value| json!({ TEXT_MEDIA_TYPE: { "schema": schema } });
    match (operation, status) {
        ("getBlob" | "getEntries", 304) => (Value::Null, tag()),
        ("getBlob", 206) => {
            let mut headers = tag();
            headers["Content-Range"] = json!({ "required": true, "schema": { "type": "string" } });
            (json!({ BLOB_MEDIA_TYPE: {} }), headers)
        }
        ("getBlob", _) => {
            let mut headers = tag();
            let ranges = json!({ "required": true, "schema": { "const": ACCEPT_RANGES } });
            headers["Accept-Ranges"] = ranges;
            (json!({ BLOB_MEDIA_TYPE: {} }), headers)
        }
        ("postBlob" | "putBlobs" | "putBlob", _) => {
            let headers = json!({
                "Location": { "required": true, "schema": { "type": "string" } },
                UNCLAIMED_SECONDS: {
                    "description": "After how many seconds the blob goes, which is served to \
                                    nobody, unless an accepted entry names it. Only on a blob \
                                    without credentials where entries have to be signed.",
                    "required": false,
                    "schema": { "type": "integer", "minimum": 1 },
                },
            });
            (text(reference("Digest")), headers)
        }
        ("getEntries", _) => {
            (json!({ ENTRY_MEDIA_TYPE: { "schema": reference("Entries") } }), tag())
        }
        ("putEntry" | "postEntry", _) => (Value::Null, json!({})),
        ("getHealth" | "getReadiness", _) => (text(json!({ "type": "string" })), json!({})),
        ("getMetrics", _) => (json!({ Metrics::MEDIA_TYPE: {} }), json!({})),
        ("getVersion", _) => {
            (json!({ ENTRY_MEDIA_TYPE: { "schema": reference("Version") } }), json!({}))
        }
        ("getOpenApi", _) => {
            (json!({ ENTRY_MEDIA_TYPE: { "schema": { "type": "object" } } }), json!({}))
        }
        ("getSigners", _) => {
            (json!({ ENTRY_MEDIA_TYPE: { "schema": reference("Signers") } }), json!({}))
        }
        ("getSignersPem", _) => (json!({ PEM_MEDIA_TYPE: {} }), json!({})),
        ("getSignersOption", _) => (text(json!({ "type": "string" })), json!({})),
        (operation, _) => match administration::answer(operation) {
            Some(schema) => (json!({ ENTRY_MEDIA_TYPE: { "schema": schema } }), json!({})),
            None => (json!({ "*/*": {} }), json!({})),
        },
    }
}

/// A failure in either of its two forms.
fn failure() -> Value {
    json!({
        TEXT_MEDIA_TYPE: { "schema": { "type": "string" } },
        PROBLEM: { "schema": reference("Problem") },
    })
}

fn header(schema: &str) -> Value {
    json!({ "required": true, "schema": reference(schema) })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn schemas() -> Value {
    json!({
        "Digest": {
            "description": "The SHA-512 of a blob; written in lower case.",
            "type": "string",
            "pattern": "^[0-9a-fA-F]{128}$",
        },
        "AnyDigest": {
            "description": "SHA-512, SHA-256, SHA-1 or MD5; the number of digits tells which.",
            "type": "string",
            "pattern": "^([0-9a-fA-F]{128}|[0-9a-fA-F]{64}|[0-9a-fA-F]{40}|[0-9a-fA-F]{32})$",
        },
        "Key": {
            "description": "Any text without control characters. It is percent-decoded once, and \
                            slashes in it may stand as they are.",
            "type": "string",
            "format": "shadir-key",
            "minLength": 1,
            "maxLength": Key::MAX_BYTES,
        },
        "Entry": {
            "description": format!(
                "A metadata text and its signature, in at most {} bytes.",
                SignedEntry::MAX_BODY_BYTES
            ),
            "type": "array",
            "prefixItems": [
                {
                    "description": "A JSON object as text, with 128 hex digits as sha512.",
                    "type": "string",
                    "format": "shadir-metadata",
                    "contentMediaType": "application/json",
                },
                {
                    "description": "Base64, or nothing for an unsigned entry.",
                    "type": "string",
                    "format": "shadir-signature",
                },
            ],
            "items": false,
            "minItems": 2,
        },
        "Entries": { "type": "array", "items": reference("Entry"), "minItems": 1 },
        "EntityTag": { "type": "string", "pattern": "^\"[!#-~]+\"$" },
        "EntityTags": { "type": "string", "pattern": "^(\\*|(W/)?\"[!#-~]*\"(, (W/)?\"[!#-~]*\")*)$" },
        "Range": { "type": "string", "pattern": "^bytes=([0-9]+-[0-9]*|-[0-9]+)$" },
        "Fingerprint": {
            "description": "The SHA-256 of a public key, as DER.",
            "type": "string",
            "pattern": "^[0-9a-fA-F]{64}$",
        },
        "Verified": { "type": "string", "const": "1" },
        "Signers": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": { "type": ["string", "null"] },
                    "fingerprint": reference("Fingerprint"),
                    "kind": { "type": "string" },
                    "bits": { "type": ["integer", "null"] },
                    "not-before": { "type": ["string", "null"], "format": "date-time" },
                    "not-after": { "type": ["string", "null"], "format": "date-time" },
                    "revoked-since": { "type": ["string", "null"], "format": "date-time" },
                },
                "required": [
                    "name", "fingerprint", "kind", "bits", "not-before", "not-after",
                    "revoked-since",
                ],
            },
        },
        "Problem": {
            "description": "RFC 9457.",
            "type": "object",
            "properties": {
                "title": { "type": "string" },
                "status": { "type": "integer" },
                "detail": { "type": "string" },
            },
            "required": ["title", "status", "detail"],
        },
        "Version": {
            "type": "object",
            "properties": { "name": { "type": "string" }, "version": { "type": "string" } },
            "required": ["name", "version"],
        },
    })
}

/// Bearer tokens, Basic, tokens in the query, certificates.
const SCHEMES: [&str; 4] = ["token", "password", "queryToken", "certificate"];

const DESCRIPTION: &str = "Blobs by their SHA-512, and signed statements about them. Every failure \
    is told in one line of text, or as problem details (RFC 9457) to who accepts them by name. A \
    method that a path does not have is answered with 405, OPTIONS with 204.";

#[cfg(test)]
mod tests {
    use super::super::routes;
    use super::*;

    fn mounts() -> Mounts {
        let path = |text: &str| text.parse().unwrap();
        Mounts::new(vec![path("/a"), path("/b")], vec![path("/c")], vec![], vec![]).unwrap()
    }

    #[test]
    fn every_operation_has_its_answers_described() {
        for resource in routes::table() {
            for operation in &resource.operations {
                for status in operation.statuses {
                    let (content, _) = answer(operation.name, *status);
                    assert!(content.get("*/*").is_none(), "{} {status}", operation.name);
                }
            }
        }
    }

    #[test]
    fn every_operation_is_there_at_every_mount_under_a_name_of_its_own() {
        let document = document(&routes::table(), &mounts());
        let paths = document["paths"].as_object().unwrap();
        for path in ["/a", "/a/", "/b/{digest}", "/c/{key}", "/readyz"] {
            assert!(paths.contains_key(path), "{path}");
        }
        let operations = paths.values().flat_map(|item| item.as_object().unwrap().values());
        let mut ids: Vec<&str> =
            operations.map(|operation| operation["operationId"].as_str().unwrap()).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }

    #[test]
    fn whatever_asks_for_a_right_says_how_to_show_it() {
        let document = document(&routes::table(), &mounts());
        let schemes = document["components"]["securitySchemes"].as_object().unwrap();
        for resource in routes::table() {
            for path in paths_of(&resource, &mounts()) {
                for operation in &resource.operations {
                    let method = operation.method.as_str().to_ascii_lowercase();
                    let security = document["paths"][&path][&method]["security"].as_array();
                    assert_eq!(security.is_some(), operation.right != Right::Nothing, "{path}");
                    let alternatives = security.into_iter().flatten();
                    let named: Vec<_> = alternatives
                        .flat_map(|one| one.as_object().unwrap().keys().cloned())
                        .collect();
                    assert!(named.is_empty() || named == SCHEMES, "{path}: {named:?}");
                    assert!(named.iter().all(|name| schemes.contains_key(name)), "{named:?}");
                }
            }
        }
    }

    #[test]
    fn a_blob_without_credentials_is_told_its_time() {
        let document = document(&routes::table(), &mounts());
        for (path, method) in [("/a", "post"), ("/b/", "put"), ("/a/{digest}", "put")] {
            let headers = &document["paths"][path][method]["responses"]["201"]["headers"];
            assert_eq!(headers[UNCLAIMED_SECONDS]["required"], false, "{method} {path}");
        }
    }

    #[test]
    fn statuses_are_those_of_the_stages_that_a_request_passes() {
        let document = document(&routes::table(), &mounts());
        let statuses = |method: &str, path: &str| -> Vec<String> {
            let responses = document["paths"][path][method]["responses"].as_object().unwrap();
            responses.keys().cloned().collect()
        };
        let has = |method, path, status: &str| statuses(method, path).iter().any(|it| it == status);
        assert!(has("get", "/a/{digest}", "416") && !has("head", "/a/{digest}", "416"));
        assert!(has("get", "/a/{digest}", "409") && !has("get", "/c/{key}", "409"));
        assert!(has("put", "/c/{key}", "507") && !has("get", "/c/{key}", "507"));
        assert_eq!(statuses("get", "/version"), ["200", "400", "414", "431", "500"]);
    }
}
