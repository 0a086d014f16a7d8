//! How many connections this process has file descriptors for. A client's connection and its connection to NocoBase need one
//! each; some are left for the operator's listener, files and the gate's own calls (R38).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for everything except clients.
const RESERVED: u64 = 64;

/// As many places as `limits.connections`, or fewer. Raises the soft limit of this process as far as needed, at most to the hard
/// limit.
pub(super) fn places(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let Some(raised) = raised(&limit, wanted) else { return wanted };
    let soft = match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum }) {
        Ok(()) => raised,
        Err(error) => {
            tracing::debug!(%error, "the limit of open files stays as it is");
            limit.current.unwrap_or(raised)
        }
    };
    let places = connections_for(soft);
    if places < wanted {
        tracing::warn!(
            "limits.connections is {wanted}, but the limit of {soft} open files (RLIMIT_NOFILE) is enough for {places}: raise \
             it (systemd: LimitNOFILE, Docker: ulimits, shell: ulimit -n), or lower limits.connections"
        );
    }
    wanted.min(places)
}

/// The soft limit for this many places: never lower than it is, never above the hard limit. `None`: there is no limit.
fn raised(limit: &Rlimit, places: usize) -> Option<u64> {
    let needed = u64::try_from(places).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(RESERVED);
    let current = limit.current?;
    Some(needed.min(limit.maximum.unwrap_or(u64::MAX)).max(current))
}

fn connections_for(descriptors: u64) -> usize {
    usize::try_from(descriptors.saturating_sub(RESERVED) / 2).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r38_descriptors_are_left_for_the_operator() {
        for (descriptors, places) in [(300, 118), (1024, 480), (65_536, 32_736), (10, 1)] {
            assert_eq!(connections_for(descriptors), places);
            let needed = 2 * u64::try_from(places).unwrap() + RESERVED;
            assert!(descriptors < RESERVED || needed <= descriptors);
        }
    }

    #[test]
    fn r38_the_limit_is_raised_as_far_as_needed_and_allowed() {
        let raise = |current, maximum, places| raised(&Rlimit { current, maximum }, places);
        assert_eq!(raise(Some(1024), Some(524_288), 20_000), Some(40_064));
        assert_eq!(raise(Some(1024), Some(4096), 20_000), Some(4096));
        assert_eq!(raise(Some(1024), None, 20_000), Some(40_064));
        assert_eq!(raise(Some(65_536), Some(65_536), 20_000), Some(65_536), "never lowered");
        assert_eq!(raise(None, None, 20_000), None);
        assert_eq!(connections_for(raise(Some(1024), None, 20_000).unwrap()), 20_000);
    }
}
