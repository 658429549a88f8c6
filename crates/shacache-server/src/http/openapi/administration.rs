//! What is sent to the API for operators, and what it answers, as schemas. A test holds that
//! they have the words that the commands have.

use serde_json::{Value, json};
use shacache_core::key::Key;

/// The body of an operation; `None` for one that is not of this API.
pub(super) fn body(operation: &str) -> Option<Value> {
    let digest = || json!({ "type": "string", "pattern": "^[0-9a-fA-F]{128}$" });
    let key = || json!({ "type": "string", "minLength": 1, "maxLength": Key::MAX_BYTES });
    let text = || json!({ "type": "string" });
    let yes = || json!({ "type": "boolean", "default": false });
    let many = |schema: Value| json!({ "type": "array", "items": schema });
    let pattern = || json!({ "type": ["string", "null"], "minLength": 1, "maxLength": 512 });
    let page = || {
        json!({
            "after": { "type": ["string", "null"] },
            "limit": { "type": ["integer", "null"], "minimum": 1, "maximum": 10_000 },
        })
    };
    let (properties, required) = match operation {
        "postSearch" => {
            let mut properties = page();
            properties["key"] = pattern();
            properties["digest"] = json!({ "type": ["string", "null"] });
            properties["fields"] = json!({ "type": "object", "additionalProperties": text() });
            properties["file"] = pattern();
            for name in ["signer", "since", "until"] {
                properties[name] = json!({ "type": ["string", "null"] });
            }
            (properties, json!([]))
        }
        "postKeys" | "postBlobs" => (page(), json!([])),
        "postDelete" => {
            let properties = json!({
                "key": key(), "entry": digest(), "signer": text(), "since": text(),
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
    Some(json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    }))
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
