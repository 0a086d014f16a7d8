//! `docs/configuration.md`, generated from the schema, so that it cannot differ from the program.

use std::fmt::Write as _;

use serde_json::Value;

use super::raw::{Acme, Application, Certificate, Help, Listen, NocoBase, Pages, Raw, Role, WeCom};
use super::report::join;
use super::schema::{Kind, Node, schema};

const INTRODUCTION: &str = include_str!("reference_intro.md");

/// The reference of all keys, as Markdown.
pub fn markdown() -> String {
    let schema = schema();
    let root = Node(&schema);
    let order = declared_order();
    let mut out = String::from(INTRODUCTION);
    let (sections, plain): (Vec<_>, Vec<_>) =
        in_order(root, &order, "").into_iter().partition(|(_, node)| below(*node).is_some());
    out.push_str("\n## Top of the file\n");
    table(&mut out, &plain);
    for (name, node) in sections {
        section(&mut out, name, node, &order);
    }
    out
}

fn section(out: &mut String, path: &str, node: Node<'_>, order: &str) {
    let Some(inner) = below(node) else { return };
    let repeated = node.kind() == Kind::List;
    let title = if repeated { format!("[[{path}]]") } else { format!("[{path}]") };
    let description = node.description();
    let _ = write!(out, "\n## `{title}`\n\n{description}\n");
    let name = path.rsplit('.').next().unwrap_or(path);
    let (sections, plain): (Vec<_>, Vec<_>) =
        in_order(inner, order, name).into_iter().partition(|(_, node)| below(*node).is_some());
    table(out, &plain);
    for (name, node) in sections {
        section(out, &join(path, name), node, order);
    }
}

fn table(out: &mut String, keys: &[(&str, Node<'_>)]) {
    out.push_str("\n| Key | Type | Default | Meaning |\n|---|---|---|---|\n");
    for (name, node) in keys {
        let secret = if node.secret() { ", secret" } else { "" };
        let default = match node.default() {
            None => String::new(),
            Some(Value::String(text)) if text.is_empty() => String::new(),
            Some(_) if node.description().starts_with("**Required") => String::new(),
            Some(value) => format!("`{value}`"),
        };
        let meaning = node.description().replace('\n', " ").replace('|', "\\|");
        let words = words(*node);
        let _ = writeln!(out, "| `{name}` | {}{secret} | {default} | {meaning}{words} |", type_name(*node));
    }
}

/// The meaning of each word that a key accepts.
fn words(node: Node<'_>) -> String {
    let of = if node.kind() == Kind::List { node.item() } else { Some(node) };
    let Some(choices) = of.and_then(|n| n.0.get("oneOf")).and_then(Value::as_array) else {
        return String::new();
    };
    let mut text = String::new();
    for choice in choices {
        let word = choice.get("const").and_then(Value::as_str).unwrap_or_default();
        let meaning = Node(choice).description().replace('\n', " ");
        let _ = write!(text, "<br>`\"{word}\"`: {meaning}");
    }
    text
}

fn type_name(node: Node<'_>) -> String {
    match node.kind() {
        Kind::Table => "section".into(),
        Kind::List => format!("list of {}s", node.item().map(type_name).unwrap_or_default()),
        Kind::Text => "text".into(),
        Kind::Word(_) => "word".into(),
        Kind::Whole => "number".into(),
        Kind::Flag => "true or false".into(),
        Kind::Size => "size".into(),
        Kind::Count => "number or `\"auto\"`".into(),
    }
}

/// The keys of a `[section]` or of one `[[entry]]`.
fn below(node: Node<'_>) -> Option<Node<'_>> {
    match node.kind() {
        Kind::Table => Some(node),
        Kind::List => node.item().filter(|item| item.kind() == Kind::Table),
        _ => None,
    }
}

/// One of everything, as JSON text: unlike the schema's maps, it keeps the order in which the fields are declared.
fn declared_order() -> String {
    let some = || Some(Vec::new());
    let roles = vec![Role { department: Some(1), tag: Some(1), ..Role::default() }];
    serde_json::to_string(&Raw {
        listen: Listen {
            http: some(),
            https: some(),
            certificates: vec![Certificate::default()],
            acme: Some(Acme::default()),
            ..Listen::default()
        },
        nocobase: NocoBase {
            service_user: Some(1),
            apps: vec![Application { service_user: Some(1), ..Application::default() }],
            ..NocoBase::default()
        },
        pages: Pages { help: vec![Help::default()], ..Pages::default() },
        wecom: vec![WeCom { auto_login: Some(true), roles, ..WeCom::default() }],
        ..Raw::default()
    })
    .unwrap_or_default()
}

fn in_order<'a>(node: Node<'a>, order: &str, section: &str) -> Vec<(&'a str, Node<'a>)> {
    // A section, not a key with the same name.
    let begins = |open: &str| order.find(&format!("\"{section}\":{open}"));
    let from = begins("[{").or_else(|| begins("{")).unwrap_or(0);
    let rest = order.get(from..).unwrap_or_default();
    let mut keys: Vec<_> = node.keys().collect();
    // A key deeper down may have the name of a section.
    keys.sort_by_key(|(name, node)| {
        let opens: &[&str] = if below(*node).is_some() { &["[{", "{"] } else { &[""] };
        let found = opens.iter().filter_map(|open| rest.find(&format!("\"{name}\":{open}")));
        found.min().unwrap_or(usize::MAX)
    });
    keys
}
