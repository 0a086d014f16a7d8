//! Reads the file and the environment into one tree, and records where each value was set.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::report::{ConfigError, Place, Report, join, quote, within};
use super::schema::{Kind, Node};

/// Variables with this prefix are configuration. Others, such as `WECOM_GATE_SERVICE_HOST` in Kubernetes, are not.
const PREFIX: &str = "WECOM_GATE__";
/// No key is nested more deeply; anything deeper is unknown further up already.
const MAX_DEPTH: usize = 16;

/// Parses TOML. Each syntax error is reported with its place; texts of the file are never repeated, because they may be secrets.
pub(super) fn from_toml(text: &str, report: &mut Report) -> Option<Value> {
    let lines: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    let line_of = |at: usize| lines.partition_point(|&end| end < at) + 1;
    let (table, mut errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(table_value(table.get_ref(), "", 0, &line_of, report));
    }
    errors.sort_by_key(|error| error.span().map(|s| s.start));
    for error in errors {
        // What the parser expected instead is of little help, and often misleading.
        let what = error.message().split([',', '\n']).next().unwrap_or_default();
        report.errors.push(ConfigError {
            key: "TOML".into(),
            place: error.span().map(|s| Place::Line(line_of(s.start)).to_string()),
            value: None,
            problem: format!("cannot be read: {what}"),
            remedy: "correct the line: text stands in quotes, lists in [ ], each key once, one key per line"
                .into(),
        });
    }
    None
}

fn table_value(
    table: &DeTable<'_>,
    path: &str,
    depth: usize,
    line_of: &impl Fn(usize) -> usize,
    report: &mut Report,
) -> Value {
    let mut map = Map::new();
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let path = join(path, name);
        report.places.insert(path.clone(), Place::Line(line_of(key.span().start)));
        map.insert(name.to_owned(), plain(value.get_ref(), &path, depth + 1, line_of, report));
    }
    Value::Object(map)
}

fn plain(
    value: &DeValue<'_>,
    path: &str,
    depth: usize,
    line_of: &impl Fn(usize) -> usize,
    report: &mut Report,
) -> Value {
    match value {
        _ if depth > MAX_DEPTH => Value::Null,
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Integer(n) => match i64::from_str_radix(n.as_str(), n.radix()) {
            Ok(n) => Value::from(n),
            Err(_) => Value::from(n.to_string()), // too large for any key: refused as text
        },
        DeValue::Float(f) => Value::from(f.as_str()), // no key accepts one: refused as text
        DeValue::Boolean(b) => Value::Bool(*b),
        DeValue::Datetime(d) => Value::from(d.to_string()),
        DeValue::Array(items) => {
            let mut list = Vec::with_capacity(items.len());
            for (i, item) in items.iter().enumerate() {
                let path = format!("{path}[{i}]");
                report.places.insert(path.clone(), Place::Line(line_of(item.span().start)));
                list.push(plain(item.get_ref(), &path, depth + 1, line_of, report));
            }
            Value::Array(list)
        }
        DeValue::Table(table) => table_value(table, path, depth, line_of, report),
    }
}

/// One step of `SECTION__0__KEY`; numbers are sorted numerically, so that entries are created in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Index(usize),
    Key(String),
}

/// Overrides the tree with the environment.
pub(super) fn overlay(
    tree: &mut Value,
    schema: Node<'_>,
    env: impl IntoIterator<Item = (String, String)>,
    report: &mut Report,
) {
    let mut sorted = BTreeMap::new();
    for (name, text) in env {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let steps: Vec<Step> = rest
            .split("__")
            .map(|s| s.parse().map_or_else(|_| Step::Key(s.to_ascii_lowercase()), Step::Index))
            .take(MAX_DEPTH)
            .collect();
        sorted.insert(steps, (name, text));
    }
    for (steps, (name, text)) in sorted {
        if text.contains('\u{fffd}') {
            report.error(&name, "is not valid UTF-8", "give binary secrets as a file: `<key>_file`");
            continue;
        }
        lay(tree, schema, "", &steps, &name, &text, report);
    }
}

fn lay(
    slot: &mut Value,
    node: Node<'_>,
    path: &str,
    steps: &[Step],
    name: &str,
    text: &str,
    report: &mut Report,
) {
    let Some((step, rest)) = steps.split_first() else {
        if text.is_empty()
            && matches!(node.kind(), Kind::Whole | Kind::Flag | Kind::Size | Kind::Count | Kind::Word(_))
        {
            return; // `${UNSET}` in a container's environment
        }
        report.places.retain(|key, _| !within(key, path));
        report.places.insert(path.to_owned(), Place::Env(name.to_owned()));
        *slot = typed(node, text);
        return;
    };
    match (step, node.kind()) {
        (Step::Key(key), Kind::Table) => {
            if slot.is_null() {
                *slot = Value::Object(Map::new());
            }
            let Value::Object(map) = slot else { return }; // the file has another type here: refused by the shape check
            let path = join(path, key);
            match node.key(key) {
                Some(node) => {
                    lay(map.entry(key.as_str()).or_insert(Value::Null), node, &path, rest, name, text, report)
                }
                None => {
                    // Refused as unknown, together with the file's unknown keys.
                    report.places.insert(path, Place::Env(name.to_owned()));
                    map.insert(key.clone(), Value::Null);
                }
            }
        }
        (Step::Index(i), Kind::List) => {
            if slot.is_null() {
                *slot = Value::Array(Vec::new());
            }
            let (Value::Array(list), Some(item)) = (slot, node.item()) else { return };
            if *i == list.len() {
                list.push(Value::Null);
            }
            match list.get_mut(*i) {
                Some(slot) => lay(slot, item, &format!("{path}[{i}]"), rest, name, text, report),
                None => {
                    let next = format!("the next free number is {}", list.len());
                    report.error(
                        name,
                        format!("there is no `{path}[{i}]`"),
                        format!("number entries from 0; {next}"),
                    );
                }
            }
        }
        (Step::Key(_), Kind::List) => report.error(
            name,
            format!("`{path}` is a list"),
            format!("number its entries from 0: {PREFIX}{}__0__...", path.to_ascii_uppercase()),
        ),
        _ => report.error(
            name,
            format!("`{path}` has no keys or entries of its own"),
            "remove the variable, or correct its name",
        ),
    }
}

/// The text of a variable as the type of value that its key needs. If it does not fit it stays text, and the shape check refuses
/// it.
fn typed(node: Node<'_>, text: &str) -> Value {
    let trimmed = text.trim();
    match node.kind() {
        Kind::Whole => trimmed.parse::<i64>().map_or_else(|_| Value::from(text), Value::from),
        Kind::Flag => match trimmed {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::from(text),
        },
        Kind::List => {
            let Some(item) = node.item() else { return Value::from(text) };
            if trimmed.starts_with('[') {
                let Ok(value) = DeValue::parse(trimmed) else { return Value::from(text) };
                return plain(value.get_ref(), "", 0, &|_| 0, &mut Report::default());
            }
            trimmed.split(',').map(str::trim).filter(|s| !s.is_empty()).map(|s| typed(item, s)).collect()
        }
        Kind::Word(_) => Value::from(trimmed),
        Kind::Count => Value::from(trimmed),
        Kind::Table | Kind::Text | Kind::Size => Value::from(text),
    }
}

/// How a value would be written in the file, shortened.
pub(super) fn written(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Null => quote(""),
        Value::Array(_) => "[...]".into(),
        Value::Object(_) => "{...}".into(),
        other => other.to_string(),
    }
}
