//! The data of the page "Check": the steps of `wecom-gate check`.

use super::texts;
use crate::message::Message;

/// Path of the page about the check; POST runs it, for the member `q`.
pub(super) const CHECK: &str = "/wecom-gate/console/check";

/// The outcome of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepOutcome {
    /// As it should be.
    Ok,
    /// Someone should look at it.
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

/// A problem found by a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// A configuration key, or the thing that was checked.
    pub about: String,
    /// What was found.
    pub what: Message,
    /// What to do about it; empty if nothing need be done.
    pub remedy: Message,
}

/// A step of the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckStep {
    /// What was checked.
    pub title: Message,
    /// The name of the step, as in `docs/check.md`, and what it is about if there are several.
    pub name: String,
    /// Its outcome.
    pub outcome: StepOutcome,
    /// What was seen; may be empty.
    pub detail: Message,
    /// Problems.
    pub findings: Vec<Finding>,
}

/// The output of `wecom-gate check`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Check {
    /// Whose sign-in is tried, as `entry/userid`.
    pub member: Option<String>,
    /// The steps; empty before the check was started.
    pub steps: Vec<CheckStep>,
}

impl Check {
    pub(super) fn href(&self) -> String {
        self.member
            .as_deref()
            .map_or_else(|| CHECK.to_owned(), |member| format!("{CHECK}?q={}", encoded(member)))
    }
}

/// Encoded as a query value.
pub(super) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
