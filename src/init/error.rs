//! Why `init` ended before everything was set up.

use std::path::{Path, PathBuf};

/// Each error names its remedy.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// `--yes`, and answers are missing.
    #[error("--yes asks nothing, so these are needed too: {}", .0.join(", "))]
    Missing(Vec<&'static str>),
    /// There are questions, but no terminal.
    #[error("there is no terminal to ask questions on: use --yes and options, see wecom-gate init --help")]
    NoTerminal,
    /// An answer was tried and is wrong; the finding has been printed.
    #[error("nothing has been changed: correct what has failed above, and start again")]
    Refused,
    /// The user declined.
    #[error("nothing has been changed")]
    Declined,
    /// The value of an option cannot be used.
    #[error("{option}: {problem}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// A file or folder.
    #[error("{}: {problem}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// NocoBase refused a call by its administrator.
    #[error("NocoBase refuses {call}: {problem}; wecom-gate init can be started again")]
    NocoBase {
        /// `resource:action`.
        call: String,
        /// Its message.
        problem: String,
    },
    /// Standard output or the terminal is closed, or there are no random numbers.
    #[error("{0}")]
    System(String),
}

impl InitError {
    /// An error about a file.
    pub(super) fn file(path: &Path, problem: impl ToString) -> Self {
        Self::File { path: path.to_owned(), problem: problem.to_string() }
    }
}

impl From<std::io::Error> for InitError {
    fn from(e: std::io::Error) -> Self {
        Self::System(format!("terminal: {e}"))
    }
}
