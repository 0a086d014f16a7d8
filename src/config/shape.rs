//! Unknown keys and values of the wrong type: reports them all and removes them from the tree, so that the rest can be read and
//! checked too.

use serde_json::{Map, Value};

use super::report::{Report, join};
use super::schema::{Kind, Node};
use super::source::written;

/// After this the tree can be deserialised.
pub(super) fn check(tree: &mut Value, schema: Node<'_>, report: &mut Report) {
    if let Value::Object(map) = tree {
        check_table(map, schema, "", schema, report);
    }
}

fn check_table(
    map: &mut Map<String, Value>,
    node: Node<'_>,
    path: &str,
    root: Node<'_>,
    report: &mut Report,
) {
    map.retain(|key, value| {
        let path = join(path, key);
        match node.key(key) {
            Some(_) if value.is_null() => false, // an empty variable for something that cannot be empty
            Some(child) => fits(value, child, &path, root, report),
            None => {
                // Without its value: it may be a secret with a misspelt name.
                report.error(&path, "there is no such key", suggestion(key, node, root));
                false
            }
        }
    });
}

/// Whether the value may stay.
fn fits(value: &mut Value, node: Node<'_>, path: &str, root: Node<'_>, report: &mut Report) -> bool {
    let good = match (node.kind(), &mut *value) {
        (Kind::Table, Value::Object(map)) => {
            check_table(map, node, path, root, report);
            true
        }
        (Kind::List, Value::Array(items)) => {
            let Some(of) = node.item() else { return true };
            let mut all = true;
            for (i, item) in items.iter_mut().enumerate() {
                let good = if node.secret() && !item.is_string() {
                    wrong(item, of, true, &format!("{path}[{i}]"), report);
                    false
                } else {
                    fits(item, of, &format!("{path}[{i}]"), root, report)
                };
                if !good && of.kind() == Kind::Table {
                    *item = Value::Object(Map::new()); // keeps the indices of the following entries
                } else {
                    all &= good;
                }
            }
            return all;
        }
        (Kind::Text, Value::String(_)) | (Kind::Flag, Value::Bool(_)) => true,
        (Kind::Size | Kind::Count, Value::String(_)) => true,
        (Kind::Size | Kind::Count | Kind::Whole, Value::Number(n)) => {
            n.as_u64().is_some_and(|n| n <= node.most())
        }
        (Kind::Word(words), Value::String(text)) => words.contains(&text.as_str()),
        _ => false,
    };
    if !good {
        wrong(value, node, node.secret(), path, report);
    }
    good
}

fn wrong(value: &Value, node: Node<'_>, secret: bool, path: &str, report: &mut Report) {
    let shown = written(value);
    let last = path.rsplit('.').next().unwrap_or(path);
    let name = last.split('[').next().unwrap_or(last);
    let (problem, remedy) = match (node.kind(), value) {
        (Kind::Word(words), _) => {
            let nearest = value.as_str().and_then(|v| nearest(v, words.iter().copied()));
            let list = words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(", ");
            let hint = nearest.map(|n| format!("did you mean \"{n}\"? ")).unwrap_or_default();
            ("is not one of the allowed words".into(), format!("{hint}it takes one of {list}"))
        }
        (Kind::Text, Value::Number(_) | Value::Bool(_)) if !secret => {
            ("must be text".into(), format!("put it in quotes: {name} = \"{shown}\""))
        }
        (Kind::Text, Value::Array(_)) => ("must be one text, not a list".into(), "remove the [ ]".into()),
        (Kind::Text, _) => ("must be text".into(), "put it in quotes".into()),
        (Kind::List, Value::Object(_)) => {
            ("must be a list".into(), format!("begin each entry with two brackets: [[{name}]]"))
        }
        (Kind::List, Value::String(_) | Value::Number(_)) if !secret => {
            ("must be a list".into(), format!("write it as a list: {name} = [{shown}]"))
        }
        (Kind::List, _) => ("must be a list".into(), format!("write it as a list: {name} = [...]")),
        (Kind::Table, _) => {
            ("must be a section".into(), format!("write [{name}] and its keys on the lines below"))
        }
        (Kind::Flag, _) => ("must be true or false".into(), "write true or false, without quotes".into()),
        (Kind::Whole | Kind::Count, Value::Number(_)) => {
            ("is out of range".into(), format!("give a number from 0 to {}", node.most()))
        }
        (Kind::Whole, _) => ("must be a whole number".into(), "write digits only, without quotes".into()),
        (Kind::Count, _) => ("is not a number of requests".into(), "give a number, or \"auto\"".into()),
        (Kind::Size, _) => {
            ("is not a size".into(), "give a number of bytes, or text such as \"64KiB\" or \"1GiB\"".into())
        }
    };
    report.dropped(path, (!secret).then_some(shown), problem, remedy);
}

/// The key that was probably meant.
fn suggestion(key: &str, node: Node<'_>, root: Node<'_>) -> String {
    if let Some(name) = nearest(key, node.keys().map(|(name, _)| name)) {
        return format!("did you mean `{name}`?");
    }
    if root.key(key).is_some_and(|n| !matches!(n.kind(), Kind::Table | Kind::List)) {
        return format!("`{key}` belongs at the top of the file, before the first [section]");
    }
    for (section, child) in root.keys() {
        if child.key(key).is_some() {
            return format!("`{key}` belongs under [{section}]");
        }
        if child.item().is_some_and(|item| item.key(key).is_some()) {
            return format!("`{key}` belongs under [[{section}]]");
        }
    }
    let known = node.keys().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
    format!("remove it; the keys here are {known}")
}

fn nearest<'a>(word: &str, among: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase().replace('-', "_");
    among
        .map(|name| (strsim::jaro_winkler(&word, &name.replace('-', "_")), name))
        .filter(|(score, _)| *score >= 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
