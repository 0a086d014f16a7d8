//! The cost of a signed-in request in `session`: finding and opening the cookie, looking up what is known of the session,
//! comparing the phantom, and the `Cookie` header for NocoBase. Budget for all of it: 3 microseconds.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use secrecy::SecretSlice;
use wecom_gate::session::Company;
use wecom_gate::session::{
    Keyring, Names, OwnCookies, Session, SessionCache, SessionCookies, SessionLimits, Token, TokenCookies,
    UnixMillis, forwardable,
};

mod support;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

struct World {
    cookies: SessionCookies,
    seen: SessionCache,
    session: Session,
    header: String,
    phantom: String,
}

fn world() -> Option<World> {
    let keyring =
        Keyring::new(&[SecretSlice::from(vec![2; 64]), SecretSlice::from(vec![1; 64])], "https://gate.test")
            .ok()?;
    let limits = SessionLimits { idle: Duration::from_secs(43_200), absolute: Duration::from_secs(604_800) };
    let company = Company { entry: "wecom".into(), corp_id: "ww0123456789abcdef".into() };
    let cookies =
        SessionCookies::new(Arc::new(keyring), Names::new(true, "wecom_gate"), limits, vec![company]);
    let session = Session::begin(support::member(), NOW).ok()?;
    let line = cookies.write(&session, NOW).ok()?;
    let own = line.split(';').next()?;
    // Ten cookies, as a real browser sends them.
    let header = format!(
        "_ga=GA1.2.1234567890.1700000000; _gid=GA1.2.987654321.1700000000; nb_role_main=member; \
         nb_csrf_token_main=0123456789abcdef0123456789abcdef; {own}; nb_auth_token_main=old; \
         nb_authenticator_main=basic; theme=dark; lang=zh-CN; sidebar=collapsed"
    );
    let seen = SessionCache::new(limits.absolute);
    let known = seen.insert_checked(&session, NOW);
    seen.token(&known, NOW, || Token::new(&"x".repeat(260), &token_cookies(), NOW)).ok()?;
    let phantom = session.phantom.text();
    Some(World { cookies, seen, session, header, phantom })
}

fn token_cookies() -> Arc<TokenCookies> {
    TokenCookies::new("nb_auth_token_main", "nb_authenticator_main")
}

fn extra() -> String {
    format!("nb_auth_token_main={}; nb_authenticator_main=wecom", "x".repeat(260))
}

fn parse<'a>(w: &World, header: &'a str) -> Option<OwnCookies<'a>> {
    OwnCookies::parse(w.cookies.names(), [header.as_bytes()]).ok()
}

/// Everything that one request does.
fn request(w: &World, header: &str, authorization: &str) -> Option<Vec<u8>> {
    let own = parse(w, header)?;
    let session = w.cookies.read(&own, NOW)?;
    let known = w.seen.get(session.sid).filter(|s| !s.is_ended())?;
    if known.due_recheck(NOW, Duration::from_secs(900)).is_some()
        || !session.phantom.matches(authorization.as_bytes())
    {
        return None;
    }
    let token = w.seen.token(&known, NOW, || Err(())).ok()?;
    black_box(token.bearer().clone());
    forwardable(w.cookies.names(), [header.as_bytes()], true, &token.cookies()).ok()?
}

fn benches(c: &mut Criterion) {
    let Some(w) = world() else { return };
    assert!(request(&w, &w.header, &w.phantom).is_some(), "the measured request must be a good one");
    let own = parse(&w, &w.header);
    c.bench_function("session/parse 10 cookies", |b| b.iter(|| parse(&w, black_box(&w.header))));
    c.bench_function("session/open the session cookie", |b| {
        b.iter(|| own.as_ref().and_then(|own| w.cookies.read(black_box(own), NOW)));
    });
    c.bench_function("session/look up what is known", |b| b.iter(|| w.seen.get(black_box(w.session.sid))));
    c.bench_function("session/compare the phantom", |b| {
        b.iter(|| w.session.phantom.matches(black_box(w.phantom.as_bytes())));
    });
    let extra = extra();
    c.bench_function("session/forwardable with 10 cookies", |b| {
        b.iter(|| forwardable(w.cookies.names(), [black_box(w.header.as_bytes())], true, &[&extra]));
    });
    c.bench_function("session/a whole request", |b| b.iter(|| request(&w, black_box(&w.header), &w.phantom)));
    c.bench_function("session/seal (at sign-in and twice an hour)", |b| {
        b.iter(|| w.cookies.write(&w.session, NOW))
    });
}

criterion_group!(session, benches);
criterion_main!(session);
