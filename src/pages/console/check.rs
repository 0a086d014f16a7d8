//! What the page "Check" shows: the steps of `wecom-gate check`.

use super::texts;

/// Path of the page about the check; POST starts it, for the member that `q` names.
pub(super) const CHECK: &str = "/wecom-gate/console/check";

/// How a step of the check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepOutcome {
    /// As it should be.
    Ok,
    /// Should be looked at.
    Warning,
    /// Must be corrected.
    Failed,
    /// Not needed, or not possible.
    Skipped,
}

impl StepOutcome {
    pub(super) fn is_bad(self) -> bool {
        matches!(self, StepOutcome::Warning | StepOutcome::Failed)
    }

    pub(super) fn key(self) -> &'static str {
        match self {
            StepOutcome::Ok => texts::STEP_OK,
            StepOutcome::Warning => texts::STEP_WARNING,
            StepOutcome::Failed => texts::STEP_FAILED,
            StepOutcome::Skipped => texts::STEP_SKIPPED,
        }
    }
}

/// Something that a step found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// A key, or what was looked at.
    pub about: String,
    /// What was found.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// A step of the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckStep {
    /// What was looked at.
    pub name: String,
    /// How it ended.
    pub outcome: StepOutcome,
    /// What was seen.
    pub detail: String,
    /// Problems.
    pub findings: Vec<Finding>,
}

/// What `wecom-gate check` would print.
#[derive(Debug, Clone, Default)]
pub(crate) struct Check {
    /// Whose sign-in is tried, as `entry/userid`.
    pub member: Option<String>,
    /// The steps; none before it was started.
    pub steps: Vec<CheckStep>,
}

impl Check {
    pub(super) fn href(&self) -> String {
        self.member
            .as_deref()
            .map_or_else(|| CHECK.to_owned(), |member| format!("{CHECK}?q={}", encoded(member)))
    }
}

/// As a value in a query.
pub(super) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
