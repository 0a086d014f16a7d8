//! Exactly how long a line is waited for.

use super::*;

#[test]
fn r17_a_line_of_the_longest_length_is_not_waited_for_any_more() {
    let target = |length: usize| format!("GET /{}", "x".repeat(length - 5)).into_bytes();
    assert_eq!(read(&target(MAX_LENGTH - 1)), RequestLine::Incomplete);
    let whole = RequestLine::Complete { method: 0..3, target: 4..MAX_LENGTH };
    assert_eq!(read(&target(MAX_LENGTH)), whole);
    let method = |length: usize| "G".repeat(length).into_bytes();
    assert_eq!(read(&method(MAX_LENGTH - 1)), RequestLine::Incomplete);
    assert_eq!(read(&method(MAX_LENGTH)), RequestLine::Complete { method: 0..0, target: 0..0 });
}
