//! How many connections the descriptors of this process are enough for. A client's connection and the one to NocoBase for it
//! take one each; some are left for the operator's listener, files and the calls of the gate itself (R38).

/// For everything but clients.
const RESERVED: usize = 64;

/// As many places as `limits.connections` says, or fewer.
pub(super) fn places(wanted: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let Some(most) = soft_limit(&limits) else { return wanted };
    let places = enough_for(most);
    if places < wanted {
        tracing::warn!(
            "limits.connections is {wanted}, but the limit of {most} open files (RLIMIT_NOFILE) is enough for {places}: raise \
             it (systemd: LimitNOFILE, Docker: ulimits, shell: ulimit -n), or lower limits.connections"
        );
    }
    wanted.min(places)
}

fn enough_for(descriptors: usize) -> usize {
    (descriptors.saturating_sub(RESERVED) / 2).max(1)
}

/// The number in the line `Max open files` of `/proc/self/limits`; `None` if there is none, or no limit.
fn soft_limit(limits: &str) -> Option<usize> {
    limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r38_descriptors_are_left_for_the_operator() {
        let line = |soft| {
            format!(
                "Limit  Soft Limit  Hard Limit  Units\nMax open files            {soft}      4096     files\n"
            )
        };
        assert_eq!(soft_limit(&line("300")), Some(300));
        assert_eq!(soft_limit(&line("unlimited")), None);
        assert_eq!(soft_limit(""), None);
        for (descriptors, places) in [(300, 118), (1024, 480), (65_536, 32_736), (10, 1)] {
            assert_eq!(enough_for(descriptors), places);
            assert!(descriptors < RESERVED || 2 * places + RESERVED <= descriptors);
        }
    }
}
