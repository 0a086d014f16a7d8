//! The JSON schema of the TOML file, generated from the types in `raw`, and a view of it for the steps that need to know what a
//! key holds.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::raw::Raw;

/// JSON schema (draft 2020-12) of the configuration file, for editors and for `wecom-gate schema`.
pub fn schema() -> Value {
    SchemaSettings::draft2020_12()
        .with(|s| s.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<Raw>()
        .to_value()
}

/// The type of a key's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// A `[section]`.
    Table,
    List,
    Text,
    /// One of these words.
    Word(Vec<&'a str>),
    /// A whole number, 0 or more.
    Whole,
    Flag,
    /// A number of bytes, or text such as `1GiB`.
    Size,
    /// A number, or `auto`.
    Count,
}

/// One place in the schema.
#[derive(Clone, Copy)]
pub(super) struct Node<'a>(pub(super) &'a Value);

impl<'a> Node<'a> {
    pub(super) fn kind(self) -> Kind<'a> {
        if let Some(words) = self.0.get("oneOf").or_else(|| self.0.get("enum")).and_then(Value::as_array) {
            return Kind::Word(words.iter().filter_map(|w| w.get("const").unwrap_or(w).as_str()).collect());
        }
        match self.0.get("type") {
            Some(Value::Array(_)) if self.0.get("format").is_some_and(|f| f == "count") => Kind::Count,
            Some(Value::Array(_)) => Kind::Size,
            Some(Value::String(name)) => match name.as_str() {
                "object" => Kind::Table,
                "array" => Kind::List,
                "integer" => Kind::Whole,
                "boolean" => Kind::Flag,
                _ => Kind::Text,
            },
            _ => Kind::Text,
        }
    }

    /// The keys below this one, by name.
    pub(super) fn keys(self) -> impl Iterator<Item = (&'a str, Node<'a>)> {
        let keys = self.0.get("properties").and_then(Value::as_object);
        keys.into_iter().flatten().map(|(name, node)| (name.as_str(), Node(node)))
    }

    pub(super) fn key(self, name: &str) -> Option<Node<'a>> {
        self.0.get("properties")?.get(name).map(Node)
    }

    /// The type of a list's items.
    pub(super) fn item(self) -> Option<Node<'a>> {
        self.0.get("items").map(Node)
    }

    /// Its value must never be shown.
    pub(super) fn secret(self) -> bool {
        self.0.get("writeOnly").and_then(Value::as_bool).unwrap_or(false)
    }

    /// The largest number that is accepted.
    pub(super) fn most(self) -> u64 {
        self.0.get("maximum").and_then(Value::as_u64).unwrap_or(i64::MAX.unsigned_abs())
    }

    pub(super) fn default(self) -> Option<&'a Value> {
        self.0.get("default")
    }

    pub(super) fn description(self) -> &'a str {
        self.0.get("description").and_then(Value::as_str).unwrap_or_default()
    }
}
