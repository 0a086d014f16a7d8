use std::sync::atomic::{AtomicU32, Ordering};

use secrecy::ExposeSecret as _;
use tokio::time::{advance, sleep};

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// Counts the calls; responds as configured.
#[derive(Clone, Default)]
struct Wecom {
    asked: Arc<AtomicU32>,
}

impl Wecom {
    fn count(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }

    fn ok(
        &self,
        life: Duration,
    ) -> impl Future<Output = Result<Fetched, WeComError>> + Send + 'static + use<> {
        let asked = Arc::clone(&self.asked);
        async move {
            let n = asked.fetch_add(1, Ordering::SeqCst) + 1;
            sleep(Duration::from_millis(30)).await;
            Ok(Fetched { value: format!("token-{n}").into(), life })
        }
    }

    fn fail(
        &self,
        errcode: i64,
    ) -> impl Future<Output = Result<Fetched, WeComError>> + Send + 'static + use<> {
        let asked = Arc::clone(&self.asked);
        async move {
            asked.fetch_add(1, Ordering::SeqCst);
            Err(WeComError::from_errcode(Call::GetToken, errcode, ""))
        }
    }
}

fn text(token: &AccessToken) -> &str {
    token.value.expose_secret()
}

/// Lets spawned refreshes run.
async fn settle() {
    sleep(Duration::from_millis(100)).await;
}

#[tokio::test(start_paused = true)]
async fn r34_a_thousand_at_once_cost_one_fetch() {
    let (cache, wecom) = (Arc::new(TokenCache::default()), Wecom::default());
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let (cache, wecom) = (Arc::clone(&cache), wecom.clone());
        all.spawn(async move { text(&cache.get(|| wecom.ok(2 * HOUR)).await.ok().unwrap()).to_owned() });
    }
    while let Some(one) = all.join_next().await {
        assert_eq!(one.unwrap(), "token-1");
    }
    assert_eq!(wecom.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_at_once_share_one_failure() {
    let (cache, wecom) = (Arc::new(TokenCache::default()), Wecom::default());
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let (cache, wecom) = (Arc::clone(&cache), wecom.clone());
        all.spawn(async move { cache.get(|| wecom.fail(-1)).await.is_err() });
    }
    while let Some(one) = all.join_next().await {
        assert!(one.unwrap());
    }
    assert_eq!(wecom.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn renewed_before_it_expires_while_no_one_waits() {
    let (cache, wecom) = (TokenCache::default(), Wecom::default());
    assert_eq!(text(&cache.get(|| wecom.ok(2 * HOUR)).await.ok().unwrap()), "token-1");
    advance(2 * HOUR - MARGIN - Duration::from_secs(1)).await;
    assert_eq!(text(&cache.get(|| wecom.ok(2 * HOUR)).await.ok().unwrap()), "token-1");
    settle().await;
    assert_eq!(wecom.count(), 1, "not before the margin");
    advance(Duration::from_secs(2)).await;
    let before = Instant::now();
    for _ in 0..10 {
        assert_eq!(text(&cache.get(|| wecom.ok(2 * HOUR)).await.ok().unwrap()), "token-1");
    }
    assert_eq!(Instant::now(), before, "no wait");
    settle().await;
    assert_eq!(text(&cache.get(|| wecom.ok(2 * HOUR)).await.ok().unwrap()), "token-2");
    assert_eq!(wecom.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_margin_of_a_short_life_is_half_of_it() {
    let (cache, wecom) = (TokenCache::default(), Wecom::default());
    let life = Duration::from_secs(60);
    let token = cache.get(|| wecom.ok(life)).await.ok().unwrap();
    assert_eq!(token.end - token.renew_at, life / 2);
    advance(life + Duration::from_secs(1)).await;
    assert_eq!(text(&cache.get(|| wecom.ok(life)).await.ok().unwrap()), "token-2", "after its end one waits");
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_of_zero_does_not_call_gettoken_in_a_loop() {
    let (cache, wecom) = (TokenCache::default(), Wecom::default());
    for _ in 0..50 {
        assert!(cache.get(|| wecom.ok(Duration::ZERO)).await.is_ok());
    }
    assert_eq!(wecom.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_renewal_leaves_the_good_token_in_use() {
    let (cache, wecom) = (TokenCache::default(), Wecom::default());
    cache.get(|| wecom.ok(2 * HOUR)).await.ok().unwrap();
    advance(2 * HOUR - Duration::from_secs(100)).await;
    for _ in 0..20 {
        assert_eq!(text(&cache.get(|| wecom.fail(-1)).await.ok().unwrap()), "token-1");
        settle().await;
    }
    assert!(
        (2..6).contains(&wecom.count()),
        "asked again about once a second, not each time: {}",
        wecom.count()
    );
    advance(Duration::from_secs(100)).await;
    assert!(cache.get(|| wecom.fail(-1)).await.is_err(), "but not past its end");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_configuration_is_retried_less_and_less_often() {
    let (cache, wecom) = (TokenCache::default(), Wecom::default());
    let mut asked_at = Vec::new();
    let start = Instant::now();
    let mut last = 0;
    for _ in 0..3600 {
        let error = cache.get(|| wecom.fail(40001)).await.err().unwrap();
        assert_eq!(error.errcode(), Some(40001), "all callers get the reason");
        if wecom.count() != last {
            last = wecom.count();
            asked_at.push((Instant::now() - start).as_secs());
        }
        advance(Duration::from_secs(1)).await;
    }
    assert_eq!(asked_at[..7], [0, 5, 15, 35, 75, 135, 195]);
    assert!(wecom.count() < 70, "WeCom bans an address after 2000 in an hour; this was {}", wecom.count());
}

#[tokio::test(start_paused = true)]
async fn a_corrected_secret_is_used_and_the_pause_starts_small_again() {
    let (cache, wecom) = (TokenCache::default(), Wecom::default());
    for _ in 0..4 {
        assert!(cache.get(|| wecom.fail(40001)).await.is_err());
        advance(MAX_PAUSE).await;
    }
    let token = cache.get(|| wecom.ok(HOUR)).await.ok().unwrap();
    assert_eq!(text(&token), "token-5");
    advance(2 * HOUR).await;
    assert!(cache.get(|| wecom.fail(40001)).await.is_err());
    advance(FIRST_PAUSE).await;
    assert!(cache.get(|| wecom.ok(HOUR)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_once_for_all_callers() {
    let (cache, wecom) = (Arc::new(TokenCache::default()), Wecom::default());
    let stale = cache.get(|| wecom.ok(HOUR)).await.ok().unwrap();
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (cache, wecom, stale) = (Arc::clone(&cache), wecom.clone(), Arc::clone(&stale));
        all.spawn(
            async move { text(&cache.replace(&stale, || wecom.ok(HOUR)).await.ok().unwrap()).to_owned() },
        );
    }
    while let Some(one) = all.join_next().await {
        assert_eq!(one.unwrap(), "token-2");
    }
    assert_eq!(wecom.count(), 2);
    // A late report about the old token does not affect the new one.
    assert_eq!(text(&cache.replace(&stale, || wecom.ok(HOUR)).await.ok().unwrap()), "token-2");
    assert_eq!(wecom.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn fresh_tokens_that_are_refused_are_not_replaced_for_ever() {
    let (cache, wecom) = (TokenCache::default(), Wecom::default());
    let mut token = cache.get(|| wecom.ok(HOUR)).await.ok().unwrap();
    for _ in 0..600 {
        if let Ok(next) = cache.replace(&token, || wecom.ok(HOUR)).await {
            cache.report(&next, false).await;
            cache.report(&next, false).await;
            token = next;
        }
        advance(Duration::from_secs(1)).await;
    }
    assert!(wecom.count() < 18, "in ten minutes: {}", wecom.count());
    advance(MAX_PAUSE).await;
    let next = cache.replace(&token, || wecom.ok(HOUR)).await.ok().unwrap();
    cache.report(&next, true).await;
    assert!(cache.replace(&next, || wecom.ok(HOUR)).await.is_ok(), "taken again: no pause any more");
}

#[tokio::test(start_paused = true)]
async fn r23_a_browser_that_leaves_does_not_undo_the_refresh() {
    let (cache, wecom) = (TokenCache::default(), Wecom::default());
    let waited = timeout(Duration::from_millis(1), cache.get(|| wecom.ok(HOUR))).await;
    assert!(waited.is_err(), "gone before the response");
    assert_eq!(text(&cache.get(|| wecom.ok(HOUR)).await.ok().unwrap()), "token-1");
    assert_eq!(wecom.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_caller_waits_for_ever_for_another_callers_refresh() {
    let cache = Arc::new(TokenCache::default());
    let other = Arc::clone(&cache);
    tokio::spawn(async move { other.get(std::future::pending).await.is_ok() });
    tokio::task::yield_now().await;
    let before = Instant::now();
    let error = cache.get(|| Wecom::default().ok(HOUR)).await.err().unwrap();
    assert_eq!(error.class(), Class::Transport);
    assert_eq!(Instant::now() - before, MAX_WAIT);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_panics_costs_one_sign_in_only() {
    let (cache, wecom) = (TokenCache::default(), Wecom::default());
    assert!(cache.get(|| async { panic!("on purpose") }).await.is_err());
    assert!(cache.get(|| wecom.ok(HOUR)).await.is_ok());
}

mod ends;
