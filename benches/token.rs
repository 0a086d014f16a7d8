//! The cost of replacing the page's token with NocoBase's: in a header, in `Cookie`, in the first frame of a WebSocket. Budget
//! for all that one request needs: 10 microseconds.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, header};
use wecom_gate::nocobase::{Minter, UserId};
use wecom_gate::proxy::rewrite::auth_message::TokenVerdict;
use wecom_gate::proxy::rewrite::token_swapper::Swapper;
use wecom_gate::session::{Names, Session, SessionCache, Token, TokenCookies, UnixMillis, forwardable};

mod support;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const COOKIES: &str = "_ga=GA1.2.1234567890.1700000000; nb_role_main=member; theme=dark; nb_auth_token_main=old; \
    lang=zh-CN; sidebar=collapsed; wecom_gate=";

fn session() -> Option<Session> {
    Session::begin(support::member(), NOW).ok()
}

fn mint(minter: &Minter, session: &Session) -> Result<Token, ()> {
    let user = UserId::new(session.user_id).ok_or(())?;
    let minted = minter.session(user, &session.sid.to_string(), session.signed_in_at.0, NOW.as_secs());
    let jwt = minted.map_err(|_| ())?.as_str().to_owned();
    let cookies = TokenCookies::new("nb_auth_token_main", "nb_authenticator_main");
    Token::new(&jwt, &cookies, NOW).map_err(|_| ())
}

/// A text frame as browsers send it: masked.
fn frame(payload: &str) -> Bytes {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut out = vec![0x81];
    match u8::try_from(payload.len()) {
        Ok(n) if n < 126 => out.push(0x80 | n),
        _ => {
            out.push(0x80 | 126);
            out.extend_from_slice(&u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    out.extend(payload.bytes().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    Bytes::from(out)
}

fn benches(c: &mut Criterion) {
    let Some(session) = session() else { return };
    let names = Names::new(false, "wecom_gate");
    let minter = Minter::new(b"a secret of the benchmark, known to all");
    let store = SessionCache::new(Duration::from_secs(604_800));
    let seen = store.insert_checked(&session, NOW);
    let (phantom, cookies) = (session.phantom.text(), format!("{COOKIES}{}", "x".repeat(250)));
    let mut page = HeaderMap::new();
    for (name, value) in [(header::AUTHORIZATION, format!("Bearer {phantom}")), (header::COOKIE, cookies)] {
        let Ok(value) = HeaderValue::try_from(value) else { return };
        page.insert(name, value);
    }

    // Everything that a signed-in request does with its token: compare, look up, put into both headers.
    let swap = |headers: &mut HeaderMap| -> Option<()> {
        let shown = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        if !session.phantom.matches(shown.as_bytes()) {
            return None;
        }
        let token = store.token(&seen, NOW, || mint(&minter, &session)).ok()?;
        let cookie =
            forwardable(&names, [headers.get(header::COOKIE)?.as_bytes()], true, &token.cookies()).ok()??;
        headers.insert(header::AUTHORIZATION, token.bearer().clone());
        headers.insert(header::COOKIE, HeaderValue::try_from(cookie).ok()?);
        Some(())
    };
    assert!(swap(&mut page.clone()).is_some(), "the measured request must be a good one");

    c.bench_function("token/mint (every ten minutes)", |b| b.iter(|| mint(&minter, black_box(&session))));
    c.bench_function("token/cached", |b| {
        b.iter(|| store.token(&seen, NOW, || mint(&minter, black_box(&session))))
    });
    c.bench_function("token/swap in header and cookie", |b| {
        b.iter_batched_ref(|| page.clone(), swap, BatchSize::SmallInput);
    });

    let auth = frame(&format!(
        r#"{{"type":"auth:token","payload":{{"token":"{phantom}","authenticator":"basic"}}}}"#
    ));
    let other = frame(r#"{"type":"signIn","payload":{"page":"/admin/settings/users","at":1800000000000}}"#);
    let swapper = || {
        Swapper::new(|shown: &str| {
            let own = session.phantom.matches(shown.as_bytes());
            match own.then(|| store.token(&seen, NOW, || mint(&minter, &session))) {
                Some(Ok(token)) => TokenVerdict::Replace(token.jwt().to_owned()),
                _ => TokenVerdict::Refuse,
            }
        })
    };
    let swapped = swapper().push(auth.clone());
    assert!(swapped.is_ok_and(|out| out.len() > auth.len()), "the measured frame must be swapped");
    for (name, frame) in
        [("token/swap in a WebSocket frame", &auth), ("token/pass a WebSocket frame", &other)]
    {
        c.bench_function(name, |b| {
            b.iter_batched(|| (swapper(), frame.clone()), |(mut s, f)| s.push(f), BatchSize::SmallInput);
        });
    }
}

criterion_group!(token, benches);
criterion_main!(token);
