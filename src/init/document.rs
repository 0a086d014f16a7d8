//! The TOML file: the commented example with the answers filled in, or the existing file with the answers in it. Comments, order
//! and all other keys are kept.

use std::str::FromStr as _;

use toml_edit::{Array, DocumentMut, Item, TableLike, value};

/// The example, which is compiled into the program.
const EXAMPLE: &str = include_str!("../../conf/wecom-gate.toml");
/// Its first line, and that of a finished file.
const EXAMPLE_HEADER: &str = "# Configuration of wecom-gate: an example to copy and fill in.";
const HEADER: &str = "# Configuration of wecom-gate, written by `wecom-gate init`; change it as you like.";

/// A value to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Setting {
    Text(String),
    List(Vec<String>),
    Number(u64),
    Flag(bool),
    /// Removed, because another key replaces it.
    Removed,
}

/// Section (empty: top level; `wecom`: the first entry), key and value.
pub(super) type Settings = Vec<(&'static str, &'static str, Setting)>;

/// The file's new text. `None`: the existing text is not TOML, or has another structure.
pub(super) fn filled_in(existing: Option<&str>, settings: &Settings) -> Option<String> {
    let text = match existing {
        Some(text) => text.to_owned(),
        None => uncommented(&EXAMPLE.replacen(EXAMPLE_HEADER, HEADER, 1), settings),
    };
    let mut document = DocumentMut::from_str(&text).ok()?;
    for (section, key, setting) in settings {
        set(section_of(&mut document, section)?, key, setting);
    }
    Some(document.to_string())
}

/// Uncomments the lines `#key = ...` of the example for keys that will be set, so that each stays below its comment.
fn uncommented(example: &str, settings: &Settings) -> String {
    let mut section = "";
    let mut lines = Vec::new();
    for line in example.lines() {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        }
        let wanted = line.strip_prefix('#').and_then(|l| l.split_once(" =")).is_some_and(|(name, _)| {
            settings
                .iter()
                .any(|(s, key, setting)| *s == section && *key == name && *setting != Setting::Removed)
        });
        lines.push(match line.strip_prefix('#').and_then(|l| l.split_once(" =")) {
            // (A placeholder; the value follows.)
            Some((name, _)) if wanted => format!("{name} = 0"),
            _ => line.to_owned(),
        });
    }
    lines.join("\n") + "\n"
}

fn section_of<'a>(document: &'a mut DocumentMut, name: &str) -> Option<&'a mut dyn TableLike> {
    match name {
        "" => Some(document.as_table_mut()),
        "wecom" => {
            let entries = document.entry("wecom").or_insert_with(|| Item::ArrayOfTables(Default::default()));
            let entries = entries.as_array_of_tables_mut()?;
            if entries.is_empty() {
                entries.push(toml_edit::Table::new());
            }
            Some(entries.get_mut(0)?)
        }
        _ => document.entry(name).or_insert_with(toml_edit::table).as_table_like_mut(),
    }
}

fn set(table: &mut dyn TableLike, key: &str, setting: &Setting) {
    let new = match setting {
        Setting::Text(text) => value(text),
        Setting::List(list) => value(Array::from_iter(list)),
        Setting::Number(n) => value(i64::try_from(*n).unwrap_or(i64::MAX)),
        Setting::Flag(flag) => value(*flag),
        Setting::Removed => {
            remove(table, key);
            return;
        }
    };
    if table.get(key).is_some_and(|old| same(old, &new)) {
        return;
    }
    match table.get_mut(key).and_then(Item::as_value_mut) {
        // What surrounds the value, such as a comment after it, is kept.
        Some(old) => {
            let decor = old.decor().clone();
            if let Ok(mut value) = new.into_value() {
                *value.decor_mut() = decor;
                *old = value;
            }
        }
        None => {
            table.insert(key, new);
        }
    }
}

fn same(old: &Item, new: &Item) -> bool {
    let list = |item: &Item| -> Option<Vec<String>> {
        item.as_array()?.iter().map(|v| v.as_str().map(str::to_owned)).collect()
    };
    (old.as_str().is_some() && old.as_str() == new.as_str())
        || (old.as_integer().is_some() && old.as_integer() == new.as_integer())
        || (old.as_bool().is_some() && old.as_bool() == new.as_bool())
        || (list(old).is_some() && list(old) == list(new))
}

/// Removes a key; the comment above it moves to the following key.
fn remove(table: &mut dyn TableLike, key: &str) {
    let comment = table.key(key).and_then(|k| k.leaf_decor().prefix()?.as_str().map(str::to_owned));
    let next = {
        let mut names = table.iter().map(|(name, _)| name.to_owned());
        names.find(|name| name == key).and_then(|_| names.next())
    };
    if table.remove(key).is_none() {
        return;
    }
    let (Some(comment), Some(next)) = (comment, next) else { return };
    if let Some(mut next) = table.key_mut(&next) {
        let own = next.leaf_decor().prefix().and_then(|p| p.as_str()).unwrap_or_default().to_owned();
        next.leaf_decor_mut().set_prefix(comment + &own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_str;

    fn settings() -> Settings {
        let text = |t: &str| Setting::Text(t.into());
        vec![
            ("", "origin", text("https://nb.example.com")),
            ("listen", "http", Setting::List(vec!["127.0.0.1:8080".into()])),
            ("nocobase", "jwt_secret", Setting::Removed),
            ("nocobase", "jwt_secret_file", text("/dev/stdin-of-nobody")),
            ("nocobase", "service_token", Setting::Removed),
            ("nocobase", "service_user", Setting::Number(2)),
            ("nocobase", "auto_create_user", Setting::Flag(true)),
            ("wecom", "corp_id", text("ww0123456789abcdef")),
            ("wecom", "agent_id", text("1000002")),
            ("wecom", "secret", Setting::Removed),
            ("wecom", "secret_file", text("/etc/wecom-gate/secret")),
            ("access", "trusted_proxies", Setting::List(vec!["127.0.0.1".into()])),
            ("session", "keys", Setting::Removed),
            ("session", "keys_file", text("/etc/wecom-gate/session.key")),
        ]
    }

    #[test]
    fn the_example_is_filled_in_where_its_comments_are() {
        let text = filled_in(None, &settings()).unwrap();
        assert!(text.starts_with(HEADER), "{text}");
        // Valid except for the files.
        let env = [
            ("WECOM_GATE__NOCOBASE__JWT_SECRET_FILE", ""),
            ("WECOM_GATE__NOCOBASE__JWT_SECRET", "0123456789abcdef"),
            ("WECOM_GATE__WECOM__0__SECRET_FILE", ""),
            ("WECOM_GATE__WECOM__0__SECRET", "s"),
            ("WECOM_GATE__SESSION__KEYS_FILE", ""),
            (
                "WECOM_GATE__SESSION__KEYS",
                "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw",
            ),
        ];
        let loaded = load_str(&text, env.map(|(n, v)| (n.to_owned(), v.to_owned()))).unwrap();
        assert_eq!(loaded.warnings, Vec::<String>::new());
        assert!(loaded.config.nocobase.auto_create_user);
        for lines in [
            "# NocoBase's APP_KEY. If NocoBase has a file",
            "\njwt_secret_file = \"/dev/stdin-of-nobody\"\n# The account that finds",
            "\n# Create a user for a member who matches none.\nauto_create_user = true\n",
            "\nsecret_file = \"/etc/wecom-gate/secret\"\n",
            "# Made by `wecom-gate keygen`. All nodes need the same keys.\nkeys_file = ",
        ] {
            assert!(text.contains(lines), "{lines:?} is not in\n{text}");
        }
        for gone in ["\njwt_secret =", "\nservice_token =", "\nsecret =", "\nkeys =", "= 0\n"] {
            assert!(!text.contains(gone), "{gone:?} is in\n{text}");
        }
    }

    #[test]
    fn an_existing_file_keeps_what_is_not_asked() {
        let mine = "# mine\norigin = \"https://nb.example.com\" # ours\n[nocobase]\nservice_user = 9\nmatch_by = [\"phone\"]\n[[wecom]]\ncorp_id = \"ww0\"\n[[wecom]]\nname = \"b\"\n";
        let text = filled_in(Some(mine), &settings()).unwrap();
        for kept in
            ["# mine\norigin = \"https://nb.example.com\" # ours\n", "match_by = [\"phone\"]", "name = \"b\""]
        {
            assert!(text.contains(kept), "{kept:?} is not in\n{text}");
        }
        assert!(text.contains("service_user = 2"), "{text}");
        assert_eq!(filled_in(Some(&text), &settings()).unwrap(), text, "a second time changes nothing");
        assert_eq!(filled_in(Some("= x"), &settings()), None);
    }
}
