//! Secrets from files.

use std::io::Write;

use secrecy::ExposeSecret;
use tempfile::NamedTempFile;

use super::*;

fn holding(content: &[u8]) -> (NamedTempFile, String) {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    let path = format!("'{}'", file.path().display());
    (file, path)
}

#[test]
fn the_jwt_secret_is_text_or_raw_bytes() {
    let raw: Vec<u8> = (0..31).map(|i| i * 8).chain([b'\n']).collect();
    let table: &[(&[u8], &[u8])] = &[
        (b"0123456789abcdef\n", b"0123456789abcdef"),
        (b"0123456789abcdef\r\n\n", b"0123456789abcdef"),
        (b" with spaces around ", b" with spaces around "),
        (&raw, &raw), // NocoBase's jwt_secret.dat: a trailing newline is part of it
        ("sécret-sécret\n".as_bytes(), "sécret-sécret\n".as_bytes()),
    ];
    for (content, expected) in table {
        let (_file, path) = holding(content);
        let config = good(&[("nocobase.jwt_secret", ""), ("nocobase.jwt_secret_file", &path)]).config;
        assert_eq!(config.nocobase.jwt_secret.expose_secret(), *expected);
    }
}

#[test]
fn every_secret_can_be_a_file() {
    let (_s, secret) = holding(b"from-file\n");
    let (_t, token) = holding(b"abc\n");
    let (_a, aes) = holding(b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG\n");
    let (_k, keys) = holding(format!("{KEY}\n\n").as_bytes());
    let (_p, proxy) = holding(b"http://user:password@proxy.example:3128\n");
    let config = good(&[
        ("nocobase.service_user", ""),
        ("nocobase.service_token_file", &secret),
        ("wecom.0.secret", ""),
        ("wecom.0.secret_file", &secret),
        ("wecom.0.event_token_file", &token),
        ("wecom.0.event_aes_key_file", &aes),
        ("wecom.0.http_proxy_file", &proxy),
        ("session.keys", ""),
        ("session.keys_file", &keys),
    ])
    .config;
    let ServiceAccount::Token(service) = &config.nocobase.service else { panic!() };
    assert_eq!(service.expose_secret(), "from-file");
    let entry = &config.wecom[0];
    assert_eq!(entry.secret.expose_secret(), "from-file");
    assert_eq!(entry.events.as_ref().unwrap().token.expose_secret(), "abc");
    assert_eq!(entry.http_proxy.as_ref().unwrap().password(), Some("password"));
    assert_eq!(config.session.keys.len(), 1);
}

/// The schema knows which keys are secrets; each of them has a `_file` key.
#[test]
fn every_secret_has_its_file_key() {
    fn walk(node: schema::Node<'_>, seen: &mut usize) {
        for (name, child) in node.keys() {
            if child.secret() {
                assert!(node.key(&format!("{name}_file")).is_some(), "{name}");
                *seen += 1;
            }
            walk(child.item().unwrap_or(child), seen);
        }
    }
    let schema = schema();
    let mut seen = 0;
    walk(schema::Node(&schema), &mut seen);
    assert_eq!(seen, 10);
}

#[test]
fn both_at_once_is_an_error_of_either_source() {
    let (_file, path) = holding(b"0123456789abcdef");
    let errors = bad(&[("nocobase.jwt_secret_file", &path)]);
    assert_eq!(errors[0].key, "nocobase.jwt_secret_file");
    assert!(errors[0].problem.contains("`jwt_secret` is set, too") && errors[0].remedy.contains("keep one"));
    let env = |value: &str| [("WECOM_GATE__NOCOBASE__JWT_SECRET".to_owned(), value.to_owned())];
    let text = file(&[("nocobase.jwt_secret", ""), ("nocobase.jwt_secret_file", &path)]);
    assert!(load_str(&text, env("0123456789abcdef")).is_err());
    load_str(&text, env("")).unwrap(); // an empty variable counts as unset
    let errors = bad(&[("session.keys_file", &path)]);
    assert!(errors[0].problem.contains("`keys` is set, too"));
}

#[test]
fn files_that_hold_no_secret_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_empty, empty) = holding(b"\n");
    let (_large, large) = holding(&[b'x'; 70_000]);
    let (_binary, binary) = holding(&[0xff, 0xfe]);
    let (_keys, keys) = holding(format!("{KEY}\nnonsense!\n").as_bytes());
    for (key, path, named, problem) in [
        ("wecom.0.secret", "'/nonexistent/file'", "wecom[0].secret_file", "cannot be read"),
        ("wecom.0.secret", &format!("'{}'", dir.path().display()), "wecom[0].secret_file", "cannot be read"),
        ("wecom.0.secret", &empty, "wecom[0].secret_file", "empty file"),
        ("wecom.0.secret", &large, "wecom[0].secret_file", "too large"),
        ("wecom.0.secret", &binary, "wecom[0].secret", "not ASCII"),
        ("session.keys", &keys, "session.keys_file, line 2", "not base64"),
    ] {
        let file_key = format!("{key}_file");
        let errors = bad(&[(key, ""), (&file_key, path)]);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].key == named && errors[0].problem.contains(problem), "{errors:?}");
    }
}

#[test]
fn the_configuration_file_itself() {
    let path = |p: &str| load(Some(Path::new(p)), []).unwrap_err().to_string();
    assert!(path("/nonexistent/wecom-gate.toml").contains("/nonexistent/wecom-gate.toml: does not exist"));
    let (latin, _) = holding(b"origin = '\xe4'");
    assert!(load(Some(latin.path()), []).unwrap_err().to_string().contains("not UTF-8"));
    let (valid, _) = holding(file(&[]).as_bytes());
    load(Some(valid.path()), []).unwrap();
}
