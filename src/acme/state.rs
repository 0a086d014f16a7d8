//! What the rest of the gate sees of the certificate order.

use std::sync::Arc;

use parking_lot::Mutex;

use super::challenges::Challenges;

/// Kept when the configuration is reloaded.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// What the authority may request now.
    pub(crate) challenges: Arc<Challenges>,
    problem: Mutex<Option<String>>,
}

impl State {
    /// Why the certificate in use is not the desired one.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.lock().clone()
    }

    /// Sets what [`State::problem`] returns.
    pub(crate) fn set_problem(&self, problem: Option<String>) {
        *self.problem.lock() = problem;
    }
}
