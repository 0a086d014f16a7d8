//! The exact moments of expiry and renewal.

use moka::Expiry as _;

use super::*;

#[tokio::test(start_paused = true)]
async fn at_its_end_a_token_is_not_used_any_more_and_at_its_renewal_it_is_renewed() {
    let (cache, wecom) = (TokenCache::default(), Wecom::default());
    let token = cache.get(|| wecom.ok(HOUR)).await.ok().unwrap();
    advance(token.renew_at - Instant::now() - Duration::from_millis(1)).await;
    assert_eq!(text(&cache.get(|| wecom.ok(HOUR)).await.ok().unwrap()), "token-1");
    settle().await;
    assert_eq!(wecom.count(), 1, "it is not due yet");
    let other = TokenCache::default();
    let token = other.get(|| wecom.ok(HOUR)).await.ok().unwrap();
    assert_eq!(wecom.count(), 2);
    advance(token.end - Instant::now()).await;
    assert_eq!(text(&other.get(|| wecom.ok(HOUR)).await.ok().unwrap()), "token-3");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_in_memory_until_its_end() {
    let (cache, wecom) = (TokenCache::default(), Wecom::default());
    let token = cache.get(|| wecom.ok(HOUR)).await.ok().unwrap();
    let clock = std::time::Instant::now();
    assert_eq!(UntilItsEnd.expire_after_create(&(), &token, clock), Some(HOUR));
    advance(HOUR / 4).await;
    assert_eq!(UntilItsEnd.expire_after_update(&(), &token, clock, None), Some(HOUR * 3 / 4));
    advance(HOUR).await;
    assert_eq!(UntilItsEnd.expire_after_create(&(), &token, clock), Some(Duration::ZERO));
}

#[test]
fn pauses_grow_up_to_the_longest() {
    let pauses = [0, 1, 2, 3, 4, 5, 6, 40, u32::MAX].map(|times| growing_pause(times).as_secs());
    assert_eq!(pauses, [5, 5, 10, 20, 40, 60, 60, 60, 60]);
    assert_eq!(TokenCache::of("second").entry, "second");
}
