//! The files that a configuration names, for the check of their owners and modes.

use std::path::PathBuf;

use serde_json::Value;

use super::report::join;

/// Keys whose value is a secret if it is written in the file itself.
const INLINE: [&str; 9] = [
    "jwt_secret",
    "service_token",
    "secret",
    "event_token",
    "event_aes_key",
    "http_proxy",
    "forward_auth_secret",
    "keys",
    "redis",
];

/// A file named in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// The key that names it; `--conf` for the configuration itself.
    pub key: String,
    /// Where it is.
    pub path: PathBuf,
    /// Reading it reveals a secret.
    pub secret: bool,
}

/// Every file that the configuration names: secrets (`<key>_file`), certificates and their keys.
pub(super) fn files(tree: &Value) -> Vec<NamedFile> {
    let mut all = Vec::new();
    walk(tree, "", &mut |path, key, text| {
        let (certificate, private) = match path.starts_with("listen.") {
            true => (key == "cert", key == "key"),
            false => (false, false),
        };
        let secret = key.ends_with("_file") && key != "audit_file";
        if certificate || private || secret {
            let (path, key) = (PathBuf::from(text), path.to_owned());
            all.push(NamedFile { key, path, secret: secret || private });
        }
    });
    all
}

/// Whether the tree itself contains a secret.
pub(super) fn has_secret(tree: &Value) -> bool {
    let mut found = false;
    walk(tree, "", &mut |_, key, _| found |= INLINE.contains(&key));
    found
}

/// Every text that is not empty: its path, its key without list indices, and the text.
fn walk(value: &Value, path: &str, each: &mut impl FnMut(&str, &str, &str)) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| walk(value, &join(path, key), each)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| walk(item, &format!("{path}[{i}]"), each));
        }
        Value::String(text) if !text.is_empty() => {
            let last = path.rsplit('.').next().unwrap_or(path);
            each(path, last.split('[').next().unwrap_or(last), text);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn files_and_secrets_are_found_wherever_they_are() {
        let tree = json!({
            "listen": { "cert": "c.pem", "key": "k.pem", "certificates": [{ "cert": "", "key": "k2.pem" }] },
            "wecom": [{ "secret_file": "s", "verify_files": ["WW_verify_a.txt"] }],
            "session": { "keys": [] },
        });
        let found: Vec<_> =
            files(&tree).into_iter().map(|f| (f.key, f.path.display().to_string(), f.secret)).collect();
        let file = |key: &str, path: &str, secret| (key.to_owned(), path.to_owned(), secret);
        assert_eq!(
            found,
            [
                file("listen.cert", "c.pem", false),
                file("listen.certificates[0].key", "k2.pem", true),
                file("listen.key", "k.pem", true),
                file("wecom[0].secret_file", "s", true),
            ]
        );
        assert!(!has_secret(&tree));
        assert!(has_secret(&json!({ "session": { "keys": ["x"] } })));
        assert!(has_secret(&json!({ "wecom": [{ "secret": "x" }] })));
    }
}
