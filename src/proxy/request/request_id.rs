//! Request ids: unique per process start and request, without a lock and without random bytes per request.

use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;

/// Length of a process's common prefix: 16 hexadecimal digits and a dash.
const PREFIX: usize = 17;
/// Longest id, in characters.
const MAX_LENGTH: usize = PREFIX + 16;

/// Creates request ids.
pub(crate) struct RequestIds {
    prefix: String,
    count: AtomicU64,
}

impl RequestIds {
    /// Ids of this process.
    pub(crate) fn new() -> RequestIds {
        let start = uuid::Uuid::new_v4().as_u64_pair().0;
        RequestIds { prefix: format!("{start:016x}-"), count: AtomicU64::new(0) }
    }

    /// The next one: 16 hexadecimal digits of the process, a dash, and a count.
    pub(crate) fn next(&self) -> HeaderValue {
        self.id(self.count.fetch_add(1, Ordering::Relaxed))
    }

    fn id(&self, n: u64) -> HeaderValue {
        let mut text = [0_u8; MAX_LENGTH];
        let (begin, digits) = text.split_at_mut(PREFIX);
        if self.prefix.len() != PREFIX || hex::encode_to_slice(n.to_be_bytes(), digits).is_err() {
            return HeaderValue::from_static("-");
        }
        begin.copy_from_slice(self.prefix.as_bytes());
        // Without leading zeros.
        let zeros = (n.max(1).leading_zeros() / 4) as usize;
        digits.copy_within(zeros.., 0);
        let written = text.get(..MAX_LENGTH.saturating_sub(zeros)).unwrap_or_default();
        HeaderValue::from_bytes(written).unwrap_or(HeaderValue::from_static("-"))
    }
}

impl Default for RequestIds {
    fn default() -> Self {
        Self::new()
    }
}

/// Is this a plausible id from a trusted proxy? Nothing else gets into logs and headers.
pub(crate) fn acceptable(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_are_headers() {
        let ids = RequestIds::new();
        let (a, b) = (ids.next(), ids.next());
        assert_ne!(a, b);
        assert!(acceptable(a.to_str().unwrap()));
        assert_eq!(a.to_str().unwrap().len(), 18);
    }

    #[test]
    fn the_count_is_hexadecimal() {
        let ids = RequestIds::new();
        for n in [0, 1, 9, 10, 15, 16, 255, 256, 0xdead_beef, u64::MAX - 1, u64::MAX] {
            assert_eq!(ids.id(n).to_str().unwrap(), format!("{}{n:x}", ids.prefix));
        }
    }

    #[test]
    fn hostile_ids_are_not_taken_over() {
        for bad in ["", "a b", "a\tb", "<script>", &"x".repeat(129)] {
            assert!(!acceptable(bad), "{bad}");
        }
    }
}
