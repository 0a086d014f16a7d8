//! Configuration: the types of the TOML file, how it is loaded (file, environment, `<key>_file`) and how it is validated. All
//! errors are reported at once, each with its key and its remedy.
//!
//! Steps: `source` (file and environment into one tree) -> `shape` (unknown keys, wrong types, according to `schema`) -> `raw`
//! (serde) -> `validate` (meaning) -> `types`. Each adds to `report` and continues.
//!
//! Must never: print a secret, or read the configuration of anything but this process.

mod named;
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

use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;

pub use named::NamedFile;
pub use reference::markdown;
pub use report::ConfigErrors;
pub use schema::schema;
pub use types::{Config, EventKeys, Listen, Log, LogFormat};

pub(crate) use report::ConfigError;
pub(crate) use types::*;

use report::Report;

/// A larger file is not a configuration.
const MAX_BYTES: u64 = 1024 * 1024;

/// A valid configuration, and its warnings.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Valid as a whole.
    pub config: Config,
    /// `key: what`, to be logged.
    pub warnings: Vec<String>,
    /// The files that it was read from.
    pub files: Vec<NamedFile>,
}

/// Reads the file (if there is one), overrides it with the environment (`WECOM_GATE__SECTION__KEY`) and validates the result.
///
/// # Errors
/// All errors at once; none contains a secret.
pub fn load(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<Loaded, ConfigErrors> {
    let Some(path) = file else { return load_str("", env) };
    match read(path) {
        Ok(text) => {
            let mut loaded = load_str(&text, env)?;
            let tree = source::from_toml(&text, &mut Report::default()).unwrap_or_default();
            let (key, secret) = ("--conf".to_owned(), named::has_secret(&tree));
            loaded.files.insert(0, NamedFile { key, path: path.to_owned(), secret });
            Ok(loaded)
        }
        Err(Unread { problem, remedy }) => {
            let mut report = Report::default();
            report.error(&path.display().to_string(), problem, remedy);
            Err(report.into_errors())
        }
    }
}

/// The same with the file's text.
///
/// # Errors
/// All errors at once; none contains a secret.
pub fn load_str(toml: &str, env: impl IntoIterator<Item = (String, String)>) -> Result<Loaded, ConfigErrors> {
    let schema = schema::schema();
    let schema = schema::Node(&schema);
    let mut report = Report::default();
    let Some(mut tree) = source::from_toml(toml, &mut report) else { return Err(report.into_errors()) };
    source::overlay(&mut tree, schema, env, &mut report);
    shape::check(&mut tree, schema, &mut report);
    let files = named::files(&tree);
    match resolve(tree, &mut report) {
        Some(config) if report.errors.is_empty() => Ok(Loaded { config, warnings: report.warnings, files }),
        _ => Err(report.into_errors()),
    }
}

fn resolve(tree: Value, report: &mut Report) -> Option<Config> {
    // serde's own message would contain values; after the shape check there is nothing left that it could refuse.
    validate::resolve(serde_json::from_value(tree).ok()?, report)
}

/// Why the text could not be read.
struct Unread {
    problem: String,
    remedy: &'static str,
}

fn read(path: &Path) -> Result<String, Unread> {
    const WHICH: &str = "give the configuration file with --conf FILE";
    let failed = |e: std::io::Error| match e.kind() {
        ErrorKind::NotFound => Unread { problem: "does not exist".into(), remedy: WHICH },
        // Its folder is closed to other users, as it should be.
        ErrorKind::PermissionDenied => Unread {
            problem: "is there, or may be, but this user cannot read it".into(),
            remedy: "run the command with sudo, or as the gate's user (wecom-gate)",
        },
        _ => Unread { problem: format!("cannot be read: {e}"), remedy: WHICH },
    };
    let wrong = |problem: &str| Unread { problem: problem.into(), remedy: WHICH };
    let meta = std::fs::metadata(path).map_err(failed)?;
    if meta.len() > MAX_BYTES {
        return Err(wrong("is too large for a configuration file"));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8 text"))
}
