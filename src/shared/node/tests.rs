use super::*;

#[test]
fn now_is_now() {
    let before = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let it = u128::from(now().0);
    let after = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    assert!((before..=after).contains(&it), "{before} {it} {after}");
}
