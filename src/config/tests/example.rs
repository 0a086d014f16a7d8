//! The example, the reference and the schema agree with the program.

use std::collections::BTreeSet;

use super::*;

const EXAMPLE: &str = include_str!("../../../conf/wecom-gate.toml");

#[test]
fn the_example_works_once_the_secrets_are_filled_in() {
    let errors = load_str(EXAMPLE, []).unwrap_err();
    let missing: Vec<&str> = errors.0.iter().map(|e| e.key.as_str()).collect();
    let expected = [
        "nocobase.jwt_secret",
        "nocobase.service_token",
        "wecom[0].corp_id",
        "wecom[0].agent_id",
        "wecom[0].secret",
        "session.keys",
    ];
    assert_eq!(missing, expected, "{errors}");
    let filled = EXAMPLE
        .replace("jwt_secret = \"\"", "jwt_secret = \"0123456789abcdef0123456789abcdef\"")
        .replace("service_token = \"\"", "service_token = \"t\"")
        .replace("corp_id = \"\"", "corp_id = \"ww0123456789abcdef\"")
        .replace("agent_id = \"\"", "agent_id = \"1000002\"")
        .replace("\nsecret = \"\"", "\nsecret = \"s\"")
        .replace("\nkeys = []", &format!("\nkeys = [\"{KEY}\"]"));
    assert_eq!(load_str(&filled, []).unwrap().warnings, Vec::<String>::new());
}

/// `#key = value` lines show the value of a key that is not set.
#[test]
fn the_example_shows_every_key_and_its_true_default() {
    let schema = schema();
    let root = schema::Node(&schema);
    let (mut at, mut shown) = (String::new(), BTreeSet::new());
    for line in EXAMPLE.lines() {
        if let Some(section) = line.strip_prefix('[') {
            at = section.trim_matches(['[', ']']).to_owned();
            continue;
        }
        let commented = line.starts_with('#');
        let Some((key, value)) = line.trim_start_matches('#').split_once(" =") else { continue };
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            continue;
        }
        let section = if at.is_empty() { root } else { root.key(&at).unwrap() };
        let node =
            section.item().unwrap_or(section).key(key).unwrap_or_else(|| panic!("{line}: no such key"));
        shown.insert((at.clone(), key.to_owned()));
        if commented && let Some(default) = node.default() {
            let parsed: toml::Table = format!("v = {value}").parse().unwrap();
            assert_eq!(&serde_json::to_value(&parsed["v"]).unwrap(), default, "{line}");
        }
    }
    for (section, node) in root.keys() {
        let inner = node.item().unwrap_or(node);
        for (key, _) in inner.keys().filter(|_| section != "origin") {
            assert!(shown.contains(&(section.to_owned(), key.to_owned())), "[{section}] {key} is not shown");
        }
    }
}

#[test]
fn the_reference_is_up_to_date() {
    let there = include_str!("../../../docs/configuration.md");
    assert_eq!(there, markdown(), "run: wecom-gate schema --markdown > docs/configuration.md");
}

#[test]
fn the_reference_has_every_key() {
    fn walk(node: schema::Node<'_>, text: &str) {
        for (name, child) in node.keys() {
            let section = text.contains(&format!("[{name}]")) || text.contains(&format!(".{name}]"));
            assert!(section || text.contains(&format!("| `{name}` |")), "{name}");
            assert!(!child.description().is_empty(), "{name} is not described");
            walk(child.item().unwrap_or(child), text);
        }
    }
    let schema = schema();
    walk(schema::Node(&schema), &markdown());
}

/// Editors check files with the schema that we print: it must accept and refuse what we do.
#[test]
fn the_schema_agrees_with_the_shape_check() {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let agree = |text: &str| {
        let tree: toml::Table = text.parse().unwrap();
        let by_schema = validator.is_valid(&serde_json::to_value(&tree).unwrap());
        let mut report = Report::default();
        let mut tree = source::from_toml(text, &mut report).unwrap();
        shape::check(&mut tree, schema::Node(&schema), &mut report);
        assert_eq!(report.errors.is_empty(), by_schema, "{text}\n{:?}", report.errors);
    };
    agree(EXAMPLE);
    agree(&file(&[]));
    for change in [
        ("orgin", "'x'"),
        ("origin", "1"),
        ("log.format", "'xml'"),
        ("log.format", "'pretty'"),
        ("wecom", "{}"),
        ("limits.body_bytes", "true"),
        ("limits.body_bytes", "'1GiB'"),
        ("limits.body_bytes", "7"),
        ("limits.body_bytes", "-7"),
        ("nocobase.service_user", "-1"),
        ("nocobase.service_user", "'1'"),
        ("nocobase.match_by", "['phone', 'mail']"),
        ("wecom.0.roles", "[{tag = 1, role = 'x'}]"),
        ("wecom.0.roles", "[{tag = 'a'}]"),
        ("session.keys", "[1]"),
        ("wecom.0.auto_login", "1"),
        ("listen.http", "[]"),
        ("listen.http", "'x'"),
        ("wecom.0.zzz", "1"),
        ("limits.connections", "4294967296"),
    ] {
        agree(&file(&[change]));
    }
}
