//! The steps that have been run, and the printer that shows each.

use std::future::Future;
use std::time::Duration;

use crate::check::printer::Printer;
use crate::check::report::{Step, StepOutcome, Verdict};
use crate::check::steps::Id;
use crate::message::message;

/// Longest time for one step. Every request has its own limit; a step may make several.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// The steps that have been run.
pub(super) struct Steps<'a> {
    pub(super) done: Vec<Step>,
    /// [`Options::only`](super::Options::only).
    pub(super) only: Vec<Id>,
    pub(super) printer: Option<&'a mut Printer>,
    /// `apps/<name>`: what a step without an entry is about, unless it is the main application.
    pub(super) application: Option<String>,
    pub(super) gone: std::io::Result<()>,
}

impl Steps<'_> {
    pub(super) fn wants(&self, id: Id) -> bool {
        self.only.is_empty() || self.only.contains(&id)
    }

    pub(super) fn begin(&mut self, id: Id, entry: Option<&str>) {
        if self.wants(id)
            && let Some(printer) = &mut self.printer
        {
            printer.begin(id, entry.or(self.application.as_deref()));
        }
    }

    pub(super) fn end(&mut self, id: Id, entry: Option<&str>, verdict: Verdict) {
        if !self.wants(id) {
            return;
        }
        let step = Step::new(id, entry.or(self.application.as_deref()), verdict);
        if let Some(printer) = &mut self.printer
            && self.gone.is_ok()
        {
            self.gone = printer.done(&step);
        }
        self.done.push(step);
    }

    pub(super) fn add(&mut self, id: Id, entry: Option<&str>, verdict: Verdict) {
        self.begin(id, entry);
        self.end(id, entry, verdict);
    }

    /// Runs a step within the time limit. A step that is not wanted counts as passed.
    pub(super) async fn take(
        &mut self,
        id: Id,
        entry: Option<&str>,
        work: impl Future<Output = Verdict>,
    ) -> bool {
        if !self.wants(id) {
            return true;
        }
        self.begin(id, entry);
        let verdict = tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| too_slow());
        let passed = verdict.outcome != StepOutcome::Failed;
        self.end(id, entry, verdict);
        passed
    }
}

fn too_slow() -> Verdict {
    let what = message!("not finished after {seconds} seconds", seconds = LIMIT.as_secs());
    let remedy = message!("see whether the network, WeCom or NocoBase is slow, and check again");
    Verdict::failed("time", what, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_step_that_never_ends_times_out() {
        let mut steps =
            Steps { done: Vec::new(), only: Vec::new(), printer: None, application: None, gone: Ok(()) };
        assert!(!steps.take(Id::Origin, None, std::future::pending()).await);
        assert!(steps.done[0].findings[0].what.to_string().contains("30 seconds"));
    }
}
