use super::*;

#[test]
fn r17_a_body_has_its_time_and_a_second_more_for_each_five_hundred_bytes() {
    let (ms, s) = (Duration::from_millis, Duration::from_secs);
    for (body, after, slow) in [
        (0, s(30), false),
        (0, s(30) + ms(1), true),
        (499, s(30) + ms(1), true),
        (500, s(31), false),
        (500, s(31) + ms(1), true),
        (5_000, s(40), false),
        (5_000, s(41), true),
        (u64::MAX, s(1_000_000), false),
    ] {
        assert_eq!(is_too_slow(body, after, s(30)), slow, "{body} bytes after {after:?}");
    }
}
