//! The result: plain data, for people (`printer`) and for programs (JSON).

use serde::Serialize;

use super::links::{Links, all_links};
use super::steps::Id;
use crate::config::Config;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StepOutcome {
    /// As it should be.
    Ok,
    /// Works, or cannot be determined from here; should be looked at.
    Warning,
    /// Must be corrected.
    Failed,
    /// Not needed, or not possible because an earlier step failed.
    Skipped,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What it is about: a key of the configuration, or what was looked at.
    pub(crate) about: String,
    /// Its value, as it would be written in TOML; never a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    /// Where that was written: `line 12`, or a variable of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<String>,
    /// What was found.
    pub(crate) what: String,
    /// What to do about it; empty where nothing need be done.
    pub(crate) remedy: String,
}

impl Finding {
    /// Without value and place.
    pub(crate) fn new(about: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { about: about.into(), value: None, place: None, what: what.into(), remedy: remedy.into() }
    }
}

/// What a step found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How it ended.
    pub(crate) outcome: StepOutcome,
    /// One line: what was seen, or why it was skipped; may be empty.
    pub(crate) detail: String,
    /// Problems; empty if there are none.
    pub(crate) findings: Vec<Finding>,
}

impl Verdict {
    /// No problem.
    pub(crate) fn ok(detail: impl Into<String>) -> Self {
        Self { outcome: StepOutcome::Ok, detail: detail.into(), findings: Vec::new() }
    }
    /// Not looked at.
    pub(crate) fn skipped(why: impl Into<String>) -> Self {
        Self { outcome: StepOutcome::Skipped, detail: why.into(), findings: Vec::new() }
    }
    /// One problem, which should be looked at.
    pub(crate) fn warning(
        about: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::found(StepOutcome::Warning, vec![Finding::new(about, what, remedy)])
    }
    /// One problem, which must be corrected.
    pub fn failed(about: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::found(StepOutcome::Failed, vec![Finding::new(about, what, remedy)])
    }
    /// These findings.
    pub(crate) fn found(outcome: StepOutcome, findings: Vec<Finding>) -> Self {
        Self { outcome, detail: String::new(), findings }
    }
    /// With a line of what was seen.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
}

/// One step of setting up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Never changes: `configuration`, ...
    pub(crate) name: &'static str,
    /// The `[[wecom]]` entry that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) entry: Option<String>,
    /// How it ended.
    pub(crate) outcome: StepOutcome,
    /// One line: what was seen, or why it was skipped.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) detail: String,
    /// Problems; empty if there are none.
    pub(crate) findings: Vec<Finding>,
}

impl Step {
    /// A step with its verdict.
    pub fn new(id: Id, entry: Option<&str>, verdict: Verdict) -> Self {
        let Verdict { outcome, detail, findings } = verdict;
        Self { name: id.name(), entry: entry.map(str::to_owned), outcome, detail, findings }
    }
}

/// All steps, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// No step has failed.
    pub ok: bool,
    /// In the order in which they were taken.
    pub(crate) steps: Vec<Step>,
    /// One per `[[wecom]]`; none while the configuration is wrong.
    pub(crate) links: Vec<Links>,
}

impl Report {
    /// From the steps that were taken; a step that needs the configuration is only taken when there is one.
    pub fn new(steps: Vec<Step>, config: Option<&Config>) -> Self {
        let links = config.map(all_links).unwrap_or_default();
        Self { ok: steps.iter().all(|s| s.outcome != StepOutcome::Failed), steps, links }
    }
}
