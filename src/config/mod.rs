//! Configuration: the types of the TOML file, how it is loaded (file, environment, `<key>_file`) and how
//! it is validated. All errors are reported at once, each with its key and its remedy.
//!
//! Steps: `source` (file and environment into one tree) -> `shape` (unknown keys, wrong types; `schema` knows what
//! is right) -> `raw` (serde) -> `validate` (meaning) -> `types`. Each reports into `report` and goes on.
//!
//! Must never: print a secret, or read the configuration of anything but this process.

mod raw;
mod reference;
mod report;
pub(crate) mod role;
mod schema;
mod shape;
mod source;
#[cfg(test)]
mod tests;
mod types;
mod validate;

use std::path::Path;

use serde_json::Value;

pub use reference::markdown;
pub use report::ConfigErrors;
pub use schema::schema;
pub use types::{Config, EventKeys, Listen, Log, LogFormat};

pub(crate) use report::ConfigError;
pub(crate) use types::*;

use report::Report;

/// Larger files are not configuration.
const MOST_BYTES: u64 = 1024 * 1024;

/// A valid configuration, and what is worth a second look.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Valid as a whole.
    pub config: Config,
    /// `key: what`, to be logged.
    pub warnings: Vec<String>,
}

/// Reads the file (if there is one), lays the environment (`WECOM_GATE__SECTION__KEY`) over it and validates the
/// whole.
///
/// # Errors
/// Everything that is wrong, at once; none of it contains a secret.
pub fn load(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, ConfigErrors> {
    let Some(path) = file else { return load_str("", env) };
    match read(path) {
        Ok(text) => load_str(&text, env),
        Err(problem) => {
            let mut report = Report::default();
            report.say(&path.display().to_string(), problem, "give the configuration file with --conf FILE");
            Err(report.into_errors())
        }
    }
}

/// The same with the file's text.
///
/// # Errors
/// Everything that is wrong, at once; none of it contains a secret.
pub fn load_str(toml: &str, env: impl IntoIterator<Item = (String, String)>) -> Result<Loaded, ConfigErrors> {
    let schema = schema::schema();
    let schema = schema::Node(&schema);
    let mut report = Report::default();
    let Some(mut tree) = source::from_toml(toml, &mut report) else { return Err(report.into_errors()) };
    source::overlay(&mut tree, schema, env, &mut report);
    shape::check(&mut tree, schema, &mut report);
    match resolve(tree, &mut report) {
        Some(config) if report.errors.is_empty() => Ok(Loaded { config, warnings: report.warnings }),
        _ => Err(report.into_errors()),
    }
}

fn resolve(tree: Value, report: &mut Report) -> Option<Config> {
    // serde's own message would contain values; after the shape check there is nothing left that it could refuse.
    validate::resolve(serde_json::from_value(tree).ok()?, report)
}

fn read(path: &Path) -> Result<String, String> {
    let meta = std::fs::metadata(path).map_err(|e| format!("cannot be read: {e}"))?;
    if meta.len() > MOST_BYTES {
        return Err("is too large for a configuration file".into());
    }
    let bytes = std::fs::read(path).map_err(|e| format!("cannot be read: {e}"))?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".into())
}
