//! Deliberate faults.

use std::time::Duration;

/// What happens to a call.
#[derive(Debug, Clone, Default)]
pub struct Fault {
    /// The call takes effect before anything else, whatever its response is.
    pub carried_out: bool,
    /// Delay before the response.
    pub delay: Duration,
    /// Status of the response; 0: the real response.
    pub status: u16,
    /// Body of the response, if it is not the real one.
    pub body: String,
}

impl Fault {
    /// This response; the call does not take effect.
    pub fn response(status: u16, body: &str) -> Fault {
        Fault { status, body: body.into(), ..Fault::default() }
    }

    /// The call takes effect, but the response is lost: 502.
    pub fn lost() -> Fault {
        Fault { carried_out: true, ..Fault::response(502, "<h1>Bad gateway</h1>") }
    }

    /// The call takes effect; the real response is delayed.
    pub fn late(delay: Duration) -> Fault {
        Fault { carried_out: true, delay, ..Fault::default() }
    }

    /// The call is delayed, and then takes effect.
    pub fn slow(delay: Duration) -> Fault {
        Fault { delay, ..Fault::default() }
    }
}

/// A fault for future calls.
pub(crate) struct Planned {
    /// `resource:action`, or a prefix of a path.
    pub(crate) on: String,
    pub(crate) fault: Fault,
    /// Remaining calls; `usize::MAX`: all.
    pub(crate) times: usize,
}

/// Removes and returns the oldest fault for a request to this path.
pub(crate) fn take(faults: &mut Vec<Planned>, path: &str) -> Option<Fault> {
    faults.retain(|f| f.times > 0);
    let hit = faults.iter_mut().find(|f| path.ends_with(&f.on) || path.starts_with(&f.on))?;
    hit.times -= usize::from(hit.times != usize::MAX);
    Some(hit.fault.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_in_their_order_and_end() {
        let planned =
            |on: &str, status, times| Planned { on: on.into(), fault: Fault::response(status, ""), times };
        let mut all =
            vec![planned("users:get", 500, 2), planned("/api/users:", 503, 1), planned("/x", 1, usize::MAX)];
        let mut next = |path| take(&mut all, path).map(|f| f.status);
        let got: Vec<_> = (0..4).map(|_| next("/api/users:get")).collect();
        assert_eq!(got, [Some(500), Some(500), Some(503), None]);
        assert_eq!([next("/x/y"), next("/x/y"), next("/api/y")], [Some(1), Some(1), None]);
        assert_eq!(all.len(), 1);
    }
}
