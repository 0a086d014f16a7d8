//! Questions on a terminal, asked with `dialoguer`; on a terminal that can only print lines (`TERM=dumb`, an editor's shell, a
//! serial line), they are plain text without control sequences.

use std::io::{self, IsTerminal as _, Write as _};

use dialoguer::console::Term;
use dialoguer::{Confirm, Input, Password, Select};
use secrecy::SecretString;

use super::error::InitError;

/// Most empty answers to a question that needs one.
const MAX_EMPTY: usize = 3;

/// An interactive terminal.
pub(super) struct Terminal {
    /// It cannot move its cursor.
    plain: bool,
    term: Term,
}

impl Terminal {
    /// The terminal of this process; `None` if there is none.
    pub(super) fn of(env: &[(String, String)]) -> Option<Self> {
        let kind =
            env.iter().find(|(name, _)| name == "TERM").map(|(_, kind)| kind.as_str()).unwrap_or_default();
        let there = io::stdin().is_terminal() && io::stderr().is_terminal();
        there.then(|| Self { plain: matches!(kind, "" | "dumb"), term: Term::stderr() })
    }

    /// A line of text; empty only if there is a default.
    pub(super) fn line(&self, question: &str, default: Option<&str>) -> Result<String, InitError> {
        if !self.plain {
            let mut input = Input::<String>::new().with_prompt(question);
            if let Some(default) = default {
                input = input.default(default.to_owned());
            }
            return input.interact_text_on(&self.term).map(|text| text.trim().to_owned()).map_err(gone);
        }
        for _ in 0..MAX_EMPTY {
            let shown = default.map(|d| format!(" [{d}]")).unwrap_or_default();
            let answer = self.read(&format!("{question}{shown}: "))?;
            match (answer.is_empty(), default) {
                (false, _) => return Ok(answer),
                (true, Some(default)) => return Ok(default.to_owned()),
                (true, None) => {}
            }
        }
        Err(InitError::Declined)
    }

    /// A secret, which is not shown; empty if `may_be_empty`.
    pub(super) fn secret(&self, question: &str, may_be_empty: bool) -> Result<SecretString, InitError> {
        if !self.plain {
            let password = Password::new().with_prompt(question).allow_empty_password(may_be_empty);
            return password.interact_on(&self.term).map(|text| text.trim().to_owned().into()).map_err(gone);
        }
        for _ in 0..MAX_EMPTY {
            self.write(&format!("{question}: "))?;
            let answer = self.term.read_secure_line()?;
            if may_be_empty || !answer.trim().is_empty() {
                return Ok(answer.trim().to_owned().into());
            }
        }
        Err(InitError::Declined)
    }

    /// One of these, by number.
    pub(super) fn choose(
        &self,
        question: &str,
        options: &[String],
        default: usize,
    ) -> Result<usize, InitError> {
        if !self.plain {
            let select = Select::new().with_prompt(question).items(options).default(default);
            return select.interact_on(&self.term).map_err(gone);
        }
        self.write(&format!("{question}\n"))?;
        for (i, option) in options.iter().enumerate() {
            self.write(&format!("  {}. {option}\n", i + 1))?;
        }
        let first = (default + 1).to_string();
        loop {
            let answer = self.line("1, 2, ...", Some(&first))?;
            if let Some(i) = answer.parse::<usize>().ok().filter(|i| (1..=options.len()).contains(i)) {
                return Ok(i - 1);
            }
        }
    }

    /// Yes or no.
    pub(super) fn confirm(&self, question: &str, default: bool) -> Result<bool, InitError> {
        if !self.plain {
            return Confirm::new()
                .with_prompt(question)
                .default(default)
                .interact_on(&self.term)
                .map_err(gone);
        }
        loop {
            let answer = self.read(&format!("{question} [{}]: ", if default { "Y/n" } else { "y/N" }))?;
            match answer.to_ascii_lowercase().as_str() {
                "" => return Ok(default),
                "y" | "yes" | "是" => return Ok(true),
                "n" | "no" | "否" => return Ok(false),
                _ => {}
            }
        }
    }

    fn write(&self, text: &str) -> Result<(), InitError> {
        let mut out = io::stderr();
        Ok(out.write_all(text.as_bytes()).and_then(|()| out.flush())?)
    }

    fn read(&self, prompt: &str) -> Result<String, InitError> {
        self.write(prompt)?;
        let mut line = String::new();
        // End of input is not an answer.
        if io::stdin().read_line(&mut line)? == 0 {
            return Err(InitError::Declined);
        }
        Ok(line.trim().to_owned())
    }
}

fn gone(error: dialoguer::Error) -> InitError {
    let dialoguer::Error::IO(error) = error;
    error.into()
}
