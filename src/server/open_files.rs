//! How many files this process may have open, and whether that is enough for `limits.connections`.

/// Each client's connection may have one to NocoBase.
const PER_CONNECTION: u64 = 2;
/// Idle connections to NocoBase, the gate's own calls, listeners, log, certificates.
const BESIDES: u64 = 1024;

/// What to warn of at the start. `None`: it is enough, or nobody says.
pub(super) fn warning(connections: usize) -> Option<String> {
    too_few(soft_limit(&std::fs::read_to_string("/proc/self/limits").ok()?)?, connections)
}

fn too_few(limit: u64, connections: usize) -> Option<String> {
    let needed =
        u64::try_from(connections).unwrap_or(u64::MAX).saturating_mul(PER_CONNECTION).saturating_add(BESIDES);
    (limit < needed).then(|| {
        format!(
            "this process may open {limit} files (RLIMIT_NOFILE), and limits.connections = {connections} may need {needed}: \
             set LimitNOFILE= (systemd), ulimits (Docker) or ulimit -n to that, or lower limits.connections"
        )
    })
}

/// The soft limit, from the kernel's table.
fn soft_limit(table: &str) -> Option<u64> {
    let line = table.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_ascii_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_too_low_is_named_with_what_is_needed() {
        let table = "Limit                     Soft Limit           Hard Limit           Units     \n\
                     Max processes             95567                95567                processes \n\
                     Max open files            1024                 1048576              files     \n";
        assert_eq!(soft_limit(table), Some(1024));
        assert_eq!(soft_limit("Max open files   unlimited  unlimited  files"), Some(u64::MAX));
        let text = too_few(1024, 20_000).unwrap();
        assert!(text.contains("1024 files") && text.contains("may need 41024"), "{text}");
        assert_eq!((too_few(65_536, 20_000), too_few(u64::MAX, 1_000_000)), (None, None));
    }
}
