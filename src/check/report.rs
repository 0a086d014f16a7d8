//! The result as plain data, for people (`printer`) and for programs (JSON).

use serde::Serialize;

use super::links::{Links, all_links};
use super::steps::Id;
use crate::config::Config;
use crate::message::{Message, message};

/// The outcome of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StepOutcome {
    /// As it should be.
    Ok,
    /// Works, or cannot be determined from here; someone should look at it.
    Warning,
    /// Must be corrected.
    Failed,
    /// Not needed, or not possible because an earlier step failed.
    Skipped,
}

/// A problem that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What it is about: a configuration key, or the thing that was checked.
    pub(crate) about: String,
    /// Its value, as it would be written in TOML; never a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    /// Where the value was set: `line 12`, or an environment variable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<String>,
    /// What was found.
    pub(crate) what: Message,
    /// What to do about it; empty if nothing need be done.
    pub(crate) remedy: Message,
}

impl Finding {
    /// Without value and place.
    pub(crate) fn new(about: impl Into<String>, what: Message, remedy: Message) -> Self {
        Self { about: about.into(), value: None, place: None, what, remedy }
    }
}

/// The result of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Its outcome.
    pub(crate) outcome: StepOutcome,
    /// One line: what was seen, or why the step was skipped; may be empty.
    pub(crate) detail: Message,
    /// Problems; empty if there are none.
    pub(crate) findings: Vec<Finding>,
}

impl Verdict {
    /// No problem.
    pub(crate) fn ok(detail: Message) -> Self {
        Self { outcome: StepOutcome::Ok, detail, findings: Vec::new() }
    }
    /// Not checked.
    pub(crate) fn skipped(why: Message) -> Self {
        Self { outcome: StepOutcome::Skipped, detail: why, findings: Vec::new() }
    }
    /// Not checked, because this step has failed.
    pub(crate) fn after_failed(step: Id) -> Self {
        Self::skipped(message!("{step} failed", step = step.name()))
    }
    /// One problem that someone should look at.
    pub(crate) fn warning(about: impl Into<String>, what: Message, remedy: Message) -> Self {
        Self::found(StepOutcome::Warning, vec![Finding::new(about, what, remedy)])
    }
    /// One problem that must be corrected.
    pub fn failed(about: impl Into<String>, what: Message, remedy: Message) -> Self {
        Self::found(StepOutcome::Failed, vec![Finding::new(about, what, remedy)])
    }
    /// With these findings.
    pub(crate) fn found(outcome: StepOutcome, findings: Vec<Finding>) -> Self {
        Self { outcome, detail: Message::default(), findings }
    }
    /// Adds a line about what was seen.
    #[must_use]
    pub fn with_detail(mut self, detail: Message) -> Self {
        self.detail = detail;
        self
    }
}

/// One step of the setup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Which one.
    #[serde(skip)]
    pub(crate) id: Id,
    /// Never changes, for example `configuration`.
    pub(crate) name: &'static str,
    /// The `[[wecom]]` entry that the step is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) entry: Option<String>,
    /// Its outcome.
    pub(crate) outcome: StepOutcome,
    /// One line: what was seen, or why the step was skipped.
    #[serde(skip_serializing_if = "Message::is_empty")]
    pub(crate) detail: Message,
    /// Problems; empty if there are none.
    pub(crate) findings: Vec<Finding>,
}

impl Step {
    /// A step with its verdict.
    pub fn new(id: Id, entry: Option<&str>, verdict: Verdict) -> Self {
        let Verdict { outcome, detail, findings } = verdict;
        Self { id, name: id.name(), entry: entry.map(str::to_owned), outcome, detail, findings }
    }
}

/// All steps, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// No step has failed.
    pub ok: bool,
    /// In the order in which they were run.
    pub(crate) steps: Vec<Step>,
    /// One per `[[wecom]]`; empty while the configuration is invalid.
    pub(crate) links: Vec<Links>,
}

impl Report {
    /// From the steps that were run; steps that need the configuration are only run if there is one.
    pub fn new(steps: Vec<Step>, config: Option<&Config>) -> Self {
        let links = config.map(all_links).unwrap_or_default();
        Self { ok: steps.iter().all(|s| s.outcome != StepOutcome::Failed), steps, links }
    }
}
