//! Request ids: unique per process start and request, without a lock and without random bytes per request.

use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;

/// Makes ids.
pub struct RequestIds {
    start: u64,
    count: AtomicU64,
}

impl RequestIds {
    /// Ids of this process.
    pub fn new() -> RequestIds {
        RequestIds { start: uuid::Uuid::new_v4().as_u64_pair().0, count: AtomicU64::new(0) }
    }

    /// The next one: 16 hexadecimal digits of the process, a dash, and a count.
    pub fn next(&self) -> HeaderValue {
        let n = self.count.fetch_add(1, Ordering::Relaxed);
        let mut text = [0_u8; 33];
        let mut rest = &mut text[..];
        // 16 + 1 + up to 16 digits fit into 33 bytes.
        let _ = std::io::Write::write_fmt(&mut rest, format_args!("{:016x}-{n:x}", self.start));
        let left = rest.len();
        let written = text.get(..33 - left).unwrap_or(&text);
        HeaderValue::from_bytes(written).unwrap_or(HeaderValue::from_static("-"))
    }
}

impl Default for RequestIds {
    fn default() -> Self {
        Self::new()
    }
}

/// Is this an id that a trusted proxy may have made? Nothing else goes into logs and headers.
pub fn acceptable(id: &str) -> bool {
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
    fn hostile_ids_are_not_taken_over() {
        for bad in ["", "a b", "a\tb", "<script>", &"x".repeat(129)] {
            assert!(!acceptable(bad), "{bad}");
        }
    }
}
