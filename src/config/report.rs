//! What is wrong with a configuration, in words for the person who has to correct it.

use std::collections::HashMap;
use std::fmt;

use serde::Serialize;

/// One error: where, what, and how to correct it. Never contains a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ConfigError {
    /// Path of the key, such as `wecom[0].corp_id`; the file's name if the error is about the file itself.
    pub(crate) key: String,
    /// Where the value was set: `line 12`, or the name of an environment variable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<String>,
    /// The value, as it would be written in TOML; absent for secrets and for keys that are not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    /// What is wrong.
    pub(crate) problem: String,
    /// How to correct it.
    pub(crate) remedy: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        if let Some(place) = &self.place {
            write!(f, " ({place})")?;
        }
        write!(f, ": {}\n     -> {}", self.problem, self.remedy)
    }
}

/// All errors at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub(crate) Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => writeln!(f, "the configuration has 1 error:")?,
            n => writeln!(f, "the configuration has {n} errors:")?,
        }
        for (i, error) in self.0.iter().enumerate() {
            write!(f, "\n{:>3}. {error}", i + 1)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Where a value was set.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Line(usize),
    Env(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(n) => write!(f, "line {n}"),
            Self::Env(name) => write!(f, "environment {name}"),
        }
    }
}

/// Collects errors and warnings through all steps.
#[derive(Default)]
pub(super) struct Report {
    pub(super) errors: Vec<ConfigError>,
    pub(super) warnings: Vec<String>,
    /// By key path.
    pub(super) places: HashMap<String, Place>,
    /// Key paths whose values were dropped because they have the wrong shape: later errors about them, or about keys above or
    /// below them, are consequences of that.
    dropped: Vec<String>,
}

impl Report {
    /// The key's value is invalid. Never for a secret.
    pub(super) fn bad(
        &mut self,
        key: &str,
        value: &str,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.push(key, Some(quote(value)), problem.into(), remedy.into());
    }

    /// The same without a value: a secret, or a missing key.
    pub(super) fn error(&mut self, key: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.push(key, None, problem.into(), remedy.into());
    }

    /// The value has the wrong shape and was dropped; `value` as it is to be shown.
    pub(super) fn dropped(&mut self, key: &str, value: Option<String>, problem: String, remedy: String) {
        self.push(key, value, problem, remedy);
        self.dropped.push(key.to_owned());
    }

    pub(super) fn warn(&mut self, key: &str, text: impl fmt::Display) {
        self.warnings.push(format!("{key}: {text}"));
    }

    /// There is no `None` without a reason: adds one if no step has reported any.
    pub(super) fn into_errors(mut self) -> ConfigErrors {
        if self.errors.is_empty() {
            self.error(
                "configuration",
                "could not be read",
                "this is a mistake in wecom-gate: please report it",
            );
        }
        // In the order of the file, followed by what is not in it.
        let places = &self.places;
        self.errors.sort_by_key(|error| match places.get(&error.key) {
            Some(Place::Line(n)) => *n,
            _ => usize::MAX,
        });
        ConfigErrors(self.errors)
    }

    fn push(&mut self, key: &str, value: Option<String>, problem: String, remedy: String) {
        if self.dropped.iter().any(|d| within(key, d) || within(d, key)) {
            return;
        }
        let place = self.places.get(key).map(Place::to_string);
        self.errors.push(ConfigError { key: key.to_owned(), place, value, problem, remedy });
    }
}

/// `inner` is `outer` or a key below it.
pub(super) fn within(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The text in quotes, with control characters escaped, shortened if it is long, and without the user and password of an address.
pub(super) fn quote(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    let masked = match text.split_once("://") {
        Some((scheme, rest)) => rest.rsplit_once('@').map(|(_, host)| format!("{scheme}://...@{host}")),
        None => None,
    };
    let text = masked.as_deref().unwrap_or(text);
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{:?}...", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// `section.key`, or only the key at the top level.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
