//! What is sent to the API for operators, and what it answers, as schemas. A test holds that
//! they have the words that the commands have.

use serde_json::{Value, json};
use shacache_core::key::Key;

/// The body of an operation; `None` for one that is not of this API.
pub(super) fn body(operation: &str) -> Option<Value> {
    let digest = || json!({ "type": "string", "pattern": "^[0-9a-fA-F]{128}$" });
    let key = || {
        json!({
            "type": "string", "format": "shadir-key", "minLength": 1, "maxLength": Key::MAX_BYTES,
        })
    };
    let signer = || json!({ "type": "string", "format": "pem-certificate" });
    let time = || json!({ "type": "string", "format": "day-or-time" });
    let or_null = |mut schema: Value| {
        schema["type"] = json!([schema["type"], "null"]);
        schema
    };
    let text = || json!({ "type": "string" });
    let yes = || json!({ "type": "boolean", "default": false });
    let many = |schema: Value| json!({ "type": "array", "items": schema });
    let pattern = || json!({ "type": "string", "minLength": 1, "maxLength": 512 });
    let page = || {
        json!({
            "after": { "type": ["string", "null"], "format": "next-of-a-page" },
            "limit": { "type": ["integer", "null"], "minimum": 1, "maximum": 10_000 },
        })
    };
    let (properties, required) = match operation {
        "postSearch" => {
            let mut properties = page();
            properties["key"] = or_null(pattern());
            properties["digest"] = or_null(digest());
            properties["fields"] = json!({ "type": "object", "additionalProperties": pattern() });
            properties["file"] = or_null(pattern());
            properties["signer"] = or_null(signer());
            properties["since"] = or_null(time());
            properties["until"] = or_null(time());
            (properties, json!([]))
        }
        "postKeys" | "postBlobs" => (page(), json!([])),
        "postDelete" => {
            let properties = json!({
                "key": key(), "entry": digest(), "signer": signer(), "since": time(),
                "why": text(), "dry-run": yes(),
            });
            (properties, json!(["why"]))
        }
        "postBan" => {
            let properties = json!({ "digest": digest(), "why": text(), "dry-run": yes() });
            (properties, json!(["digest", "why"]))
        }
        "postUnban" => (json!({ "digest": digest(), "why": text() }), json!(["digest", "why"])),
        "postCollect" => {
            let properties = json!({
                "expired": yes(), "unused-days": { "type": ["integer", "null"], "minimum": 0 },
                "most-entries": yes(), "why": { "type": ["string", "null"] }, "dry-run": yes(),
            });
            (properties, json!([]))
        }
        "postHold" | "postRelease" => {
            let properties = json!({
                "name": { "type": "string", "pattern": "^[a-z0-9_-][a-z0-9._-]{0,63}$" },
                "digests": many(digest()), "keys": many(key()), "why": text(),
            });
            (properties, json!(["name", "why"]))
        }
        _ => return None,
    };
    let mut body = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    // Of what none is required, something has to be there.
    match operation {
        "postDelete" => {
            let ways = [&["key"][..], &["key", "entry"], &["signer", "since"]];
            body["oneOf"] = ways.map(only).into_iter().collect();
        }
        "postHold" => body["anyOf"] = json!([some("digests"), some("keys")]),
        _ => {}
    }
    Some(body)
}

/// Has these, and nothing else of what says what is deleted.
fn only(names: &[&str]) -> Value {
    let others = ["key", "entry", "signer", "since"].into_iter().filter(|it| !names.contains(it));
    let absent: Value = others.map(|name| (name.to_owned(), json!(false))).collect();
    json!({ "required": names, "properties": absent })
}

/// Has a list of this name that is not empty.
fn some(name: &str) -> Value {
    json!({ "required": [name], "properties": { name: { "minItems": 1 } } })
}

/// What an operation answers; `None` for one that is not of this API.
pub(super) fn answer(operation: &str) -> Option<Value> {
    let text = || json!({ "type": "string" });
    let number = || json!({ "type": "integer", "minimum": 0 });
    Some(match operation {
        "postSearch" => page(&object(json!({
            "key": text(), "id": text(), "received": text(), "digest": text(), "metadata": text(),
        }))),
        "postKeys" => page(&object(json!({
            "key": text(), "entries": number(), "newest": text(),
        }))),
        "postBlobs" => page(&object(json!({
            "digest": text(), "bytes": number(), "entries": number(),
        }))),
        "postDelete" | "postBan" | "postCollect" => {
            let mut removal = object(json!({
                "path": text(), "bytes": number(), "reason": text(),
            }));
            removal["properties"]["key"] = text();
            removal["properties"]["digest"] = text();
            object(json!({
                "dry-run": { "type": "boolean" }, "blobs": number(), "entries": number(),
                "bytes": number(), "held": number(), "restored": number(), "undated": number(),
                "listed": { "type": "array", "items": removal },
            }))
        }
        "postUnban" | "postHold" | "postRelease" => object(json!({ "changed": number() })),
        "getHolds" => {
            let mut hold = object(json!({
                "name": text(), "when": text(), "who": text(), "why": text(),
            }));
            hold["properties"]["key"] = text();
            hold["properties"]["digest"] = text();
            json!({ "type": "array", "items": hold })
        }
        _ => return None,
    })
}

/// An object that has all of these.
fn object(properties: Value) -> Value {
    let required: Vec<String> =
        properties.as_object().into_iter().flat_map(|all| all.keys().cloned()).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn page(listed: &Value) -> Value {
    let mut page = object(json!({
        "listed": { "type": "array", "items": listed }, "complete": { "type": "boolean" },
    }));
    page["properties"]["next"] = json!({ "type": "string" });
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::from_value;

    use super::*;
    use crate::admin::command::{Ban, Collect, Delete, Holding, Listing, Search, Unban};

    /// Every word of a schema is one of the command, and every word of the command is in the schema.
    #[test]
    fn the_words_are_those_of_the_commands() {
        fn words<T: serde::Serialize + serde::de::DeserializeOwned>(operation: &str, least: Value) {
            let command: T = from_value(least).unwrap();
            let ours = serde_json::to_value(command).unwrap();
            let ours: BTreeSet<&String> = ours.as_object().unwrap().keys().collect();
            let body = body(operation).unwrap();
            let theirs: BTreeSet<&String> =
                body["properties"].as_object().unwrap().keys().collect();
            assert_eq!(ours, theirs, "{operation}");
        }
        words::<Search>("postSearch", json!({}));
        words::<Listing>("postKeys", json!({}));
        words::<Listing>("postBlobs", json!({}));
        words::<Delete>("postDelete", json!({ "why": "" }));
        words::<Ban>("postBan", json!({ "digest": "", "why": "" }));
        words::<Unban>("postUnban", json!({ "digest": "", "why": "" }));
        words::<Collect>("postCollect", json!({}));
        words::<Holding>("postHold", json!({ "name": "", "why": "" }));
        words::<Holding>("postRelease", json!({ "name": "", "why": "" }));
    }
}
