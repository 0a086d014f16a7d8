//! Exactly how long a line is waited for.

use super::*;

#[test]
fn r17_a_line_of_the_longest_length_is_not_waited_for_any_more() {
    let target = |length: usize| format!("GET /{}", "x".repeat(length - 5)).into_bytes();
    assert_eq!(read(&target(LONGEST - 1)), RequestLine::Incomplete);
    let whole = RequestLine::Complete { method: 0..3, target: 4..LONGEST };
    assert_eq!(read(&target(LONGEST)), whole);
    let method = |length: usize| "G".repeat(length).into_bytes();
    assert_eq!(read(&method(LONGEST - 1)), RequestLine::Incomplete);
    assert_eq!(read(&method(LONGEST)), RequestLine::Complete { method: 0..0, target: 0..0 });
}
