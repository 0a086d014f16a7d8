//! The first phase: reads the request, lets `decide` decide, and does what it says.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{self, HeaderName};
use pingora::http::RequestHeader;
use pingora::proxy::Session as Exchange;

use super::ctx::{Ctx, Member, Presented, Swap};
use super::gate::Gate;
use super::phases::ascii;
use super::reply::Reply;
use super::{answers, framing, own, request_id};
use crate::decide::{self, Credential, Decision, Request, SessionState};
use crate::error::Failure;
use crate::login::{self, FoundSession, SignIns};
use crate::nocobase::ws::Swapper;
use crate::session::{self, OwnCookies};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What becomes of a request.
pub enum Admitted {
    /// It goes to NocoBase; the context says how.
    Forward,
    /// The gate answers.
    Answer(Reply),
}

/// Reads, decides, does.
pub async fn admit(gate: &Gate, exchange: &mut Exchange, ctx: &mut Ctx) -> Admitted {
    identify_client(gate, exchange, ctx);
    match read(gate, exchange, ctx).await {
        Ok(admitted) => admitted,
        Err(failure) => {
            ctx.failure = Some(failure);
            Admitted::Answer(answers::failed(gate, exchange, ctx, failure))
        }
    }
}

/// The client's address and, from a trusted proxy, its request id.
fn identify_client(gate: &Gate, exchange: &Exchange, ctx: &mut Ctx) {
    let Some(peer) = exchange.client_addr().and_then(|a| a.as_inet()).map(std::net::SocketAddr::ip) else {
        return;
    };
    let trusted = &gate.config.access.trusted_proxies;
    ctx.client = peer.to_canonical();
    if trusted.is_empty() || !trusted.iter().any(|net| net.contains(&ctx.client)) {
        return;
    }
    let headers = &exchange.req_header().headers;
    let chain: Vec<&str> = headers.get_all(X_FORWARDED_FOR).iter().filter_map(|v| v.to_str().ok()).collect();
    ctx.client = decide::address::client_ip(ctx.client, &chain, trusted);
    if let Some(id) = headers.get(super::headers::REQUEST_ID)
        && id.to_str().is_ok_and(request_id::acceptable)
    {
        ctx.request_id = id.clone();
    }
}

async fn read(gate: &Gate, exchange: &mut Exchange, ctx: &mut Ctx) -> Result<Admitted, Failure> {
    let limits = &gate.config.limits;
    let request = exchange.req_header();
    let checked = framing::check(request, limits.header_bytes, limits.body_bytes);
    if let Err(failure) = checked.and_then(|()| check_removed_length(exchange)) {
        ctx.close = true;
        return Err(failure);
    }
    let plain = gate.config.listen.redirect_http && is_plain(gate, exchange);
    let request = exchange.req_header_mut();
    framing::drop_idle_upgrade(request);
    canonicalise(request)?;
    if plain && !request.uri.path().starts_with("/WW_verify_") {
        return Ok(Admitted::Answer(to_https(gate, request)));
    }
    forget_spelling(request);
    let request = exchange.req_header();
    // Cheap copies (they share the bytes), so that own pages may read the request's body meanwhile.
    let values: Vec<header::HeaderValue> = request.headers.get_all(header::COOKIE).iter().cloned().collect();
    let cookies =
        OwnCookies::parse(gate.sign_ins.cookie_names, values.iter().map(header::HeaderValue::as_bytes))?;

    // The gate's own pages look at the session by themselves, where they need it.
    let own_page =
        request.uri.path().starts_with("/wecom-gate") || request.uri.path().starts_with("/WW_verify_");
    let found = if own_page { FoundSession::Nothing } else { gate.sign_ins.find(&cookies).await };
    let (state, member) = match found {
        FoundSession::Nothing => (SessionState::None, None),
        FoundSession::Ended => (SessionState::Ended, None),
        FoundSession::Unknown(failure) => return Err(failure),
        FoundSession::Live { session, seen } => (SessionState::Valid, Some(Member { session, seen })),
    };
    let presented = member.as_ref().map(|m| presented(gate, m));
    let (credential, query) = credential(gate, request, presented.as_ref(), member.as_ref());
    let mut facts = facts(request, ctx.client, credential, state, cookies.signed_out);
    facts.own_cookie = gate.policy.password
        && state != SessionState::Valid
        && credential == Credential::None
        && own_token(gate, request).is_some();
    let decision = decide::decide(&gate.policy, &facts);
    ctx.page_load = decide::is_page_load(&gate.policy, &facts);

    match decision {
        Decision::Forward(pass) => {
            let sign_out = is_sign_out(gate, request);
            let upgrade = facts.upgrade;
            ctx.pass = Some(pass);
            ctx.query = query.filter(|_| pass.identity == decide::Identity::Member);
            if member.is_some() && ctx.query.is_none() && pass.identity != decide::Identity::Token {
                // NocoBase would take any token of its own from the address; in a session only the session's counts.
                ctx.query = foreign_token_removed(request);
            }
            if sign_out && (pass.identity == decide::Identity::Member || gate.policy.password) {
                ctx.out = gate.sign_ins.signed_out_cookies(&cookies);
            }
            if let Some(member) = member {
                // A token of its own is somebody else's name, perhaps.
                ctx.named = decide::session_counts(&gate.policy, &facts)
                    && matches!(credential, Credential::None | Credential::Phantom);
                if upgrade && let Some(presented) = presented {
                    let swap = swap(gate.sign_ins.clone(), &member, presented);
                    ctx.swapper = Some(Box::new(Swapper::new(swap)));
                }
                ctx.sign_out = sign_out && pass.identity == decide::Identity::Member;
                if worth_renewing(gate, request, ctx.page_load) {
                    ctx.cookies.extend(gate.sign_ins.renew(&member.session));
                }
                gate.sign_ins.recheck_if_due(&member.session, &member.seen);
                ctx.member = Some(Box::new(member));
            }
            Ok(Admitted::Forward)
        }
        Decision::Redirect(target) => Ok(Admitted::Answer(Reply::redirect(&target))),
        Decision::Login { via, entry } => {
            let start = login::Start {
                via: via.into(),
                entry,
                target: decide::target::of_request(request.uri.path(), request.uri.query()),
                mobile: decide::client::caller(facts.user_agent).is_mobile(),
                automatic: true,
                attempt: 0,
                consent: false,
                lang: answers::wecom_lang(request),
            };
            ctx.as_page = true;
            Ok(Admitted::Answer(own::start_login(gate, ctx, &cookies, &start)?))
        }
        Decision::Own(page) => {
            let caller = decide::client::caller(facts.user_agent);
            let asked = own::Asked { page, cookies, caller };
            // In a box of its own, made only here: else every request would carry room for a whole sign-in.
            Box::pin(own::serve(gate, exchange, ctx, asked)).await.map(Admitted::Answer)
        }
        Decision::VerifyFile(index) => Ok(Admitted::Answer(own::verify_file(gate, index))),
        Decision::Page(page) => Ok(Admitted::Answer(answers::page(gate, exchange, ctx, page))),
        Decision::Refuse { failure, page } => {
            ctx.as_page = page;
            Err(failure)
        }
    }
}

/// Has this request come without TLS? A trusted proxy knows better than the connection to it.
fn is_plain(gate: &Gate, exchange: &Exchange) -> bool {
    if exchange.digest().is_some_and(|d| d.ssl_digest.is_some()) {
        return false;
    }
    let peer = exchange.client_addr().and_then(|a| a.as_inet()).map(|a| a.ip().to_canonical());
    let trusted = &gate.config.access.trusted_proxies;
    let told = exchange.req_header().headers.get(X_FORWARDED_PROTO);
    !(told.is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"))
        && peer.is_some_and(|peer| trusted.iter().any(|net| net.contains(&peer))))
}

/// The same page at the origin. 308, so that a method and a body stay what they are.
fn to_https(gate: &Gate, request: &RequestHeader) -> Reply {
    // Canonical by now: it begins with a slash, so that nothing can turn the origin into another one.
    let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
    Reply::empty(308).with(header::LOCATION, &format!("{}{target}", gate.config.origin.url()))
}

/// Pingora takes `Content-Length` out of a request that is chunked as well, before anybody can see it (its issue 945).
/// The bytes that came in still have it.
fn check_removed_length(exchange: &Exchange) -> Result<(), Failure> {
    let chunked = exchange.req_header().headers.contains_key(header::TRANSFER_ENCODING);
    match exchange.as_http1() {
        Some(h1) if chunked && framing::has_length(&h1.get_headers_raw_bytes()) => Err(Failure::BadRequest),
        _ => Ok(()),
    }
}

/// What is decided on is what is forwarded: the canonical path, in origin form (R1).
fn canonicalise(request: &mut RequestHeader) -> Result<(), Failure> {
    if !request.raw_path_is_utf8() {
        return Err(Failure::BadPath);
    }
    // Pingora shows a path for every form of target and keeps what came in for the next server: `GET ?x` and `GET x`
    // have no path that all agree on, and the absolute form becomes the usual one.
    let raw = request.raw_path();
    let absolute = raw.first() != Some(&b'/');
    let begins = |scheme: &[u8]| raw.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
    if absolute && !begins(b"http://") && !begins(b"https://") {
        return Err(Failure::BadPath);
    }
    let canonical = decide::path::canonical(request.uri.path())?;
    if matches!(canonical, std::borrow::Cow::Borrowed(_)) && !absolute {
        return Ok(());
    }
    let target = match request.uri.query() {
        Some(query) => format!("{canonical}?{query}"),
        None => canonical.into_owned(),
    };
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(target.parse().map_err(|_| Failure::BadPath)?);
    if request.version == http::Version::HTTP_2 {
        parts.scheme = request.uri.scheme().cloned();
        parts.authority = request.uri.authority().cloned();
    }
    let uri = http::Uri::from_parts(parts).map_err(|_| Failure::BadPath)?;
    request.set_uri(uri);
    Ok(())
}

/// Pingora keeps the spelling of every header's name beside the header, and would copy both for NocoBase, which gets names
/// in lower case, as from any HTTP/2 client. Keeps no target but the canonical one: comes after that.
fn forget_spelling(request: &mut RequestHeader) {
    if request.has_case() {
        let nothing = RequestHeader::from(http::Request::new(()).into_parts().0);
        let parts = http::request::Parts::from(std::mem::replace(request, nothing));
        *request = RequestHeader::from(parts);
    }
}

pub(super) fn presented(gate: &Gate, member: &Member) -> Presented {
    if gate.delivers_tokens() {
        Presented::OwnToken(member.session.sid)
    } else {
        Presented::Phantom(member.session.phantom)
    }
}

/// Swaps tokens in a tunnel for as long as it is open: each time with one that is fresh.
fn swap(sign_ins: Arc<SignIns>, member: &Member, presented: Presented) -> Swap {
    let (session, seen) = (member.session.clone(), member.seen.clone());
    Box::new(move |token| {
        let token = presented.is(&sign_ins, token).then(|| sign_ins.token(&session, &seen))?;
        Some(token.ok()?.jwt().to_owned())
    })
}

/// What the request shows besides cookies, and its query with the phantom replaced, if it was there.
pub(super) fn credential(
    gate: &Gate,
    request: &RequestHeader,
    presented: Option<&Presented>,
    member: Option<&Member>,
) -> (Credential, Option<String>) {
    let mut authorizations = request.headers.get_all(header::AUTHORIZATION).iter();
    let credential = match (authorizations.next(), authorizations.next()) {
        (None, _) => Credential::None,
        (Some(_), Some(_)) => Credential::Invalid,
        (Some(value), None) => match value.to_str().ok().map(token_of) {
            Some("") | None => Credential::Invalid,
            Some(token) if presented.is_some_and(|p| p.is(&gate.sign_ins, token)) => Credential::Phantom,
            Some(token) => token_kind(gate, token),
        },
    };
    if credential == Credential::None
        && let (Some(query), Some(presented), Some(member)) = (request.uri.query(), presented, member)
        && query.contains("token=")
        && let Some(rewritten) = decide::query::replace_token(query, |token| {
            let token = presented
                .is(&gate.sign_ins, token)
                .then(|| gate.sign_ins.token(&member.session, &member.seen))?;
            Some(token.ok()?.jwt().to_owned())
        })
    {
        return (Credential::Phantom, Some(rewritten));
    }
    (credential, None)
}

/// What a token of NocoBase's is worth that is not this session's.
fn token_kind(gate: &Gate, token: &str) -> Credential {
    let (minter, now) = (&gate.sign_ins.minter, login::now().as_secs());
    let verified =
        if gate.policy.password { minter.verify_renewable(token, now) } else { minter.verify(token, now) };
    match verified {
        Ok(verified) if verified.api_key => Credential::ApiToken,
        Ok(_) => Credential::OwnToken,
        Err(_) => Credential::Invalid,
    }
}

/// The token in NocoBase's own cookie, if it is one of a sign-in of NocoBase's own, and good. The first cookie of that name
/// is the one that NocoBase reads. Only where NocoBase's form is in use.
pub fn own_token(gate: &Gate, request: &RequestHeader) -> Option<String> {
    if !gate.policy.password {
        return None;
    }
    let values = request.headers.get_all(header::COOKIE).iter().map(header::HeaderValue::as_bytes);
    let token = session::first_cookie(values, gate.sign_ins.token_cookie().as_bytes())?;
    let token = std::str::from_utf8(token).ok()?;
    (token_kind(gate, token) == Credential::OwnToken).then(|| token.to_owned())
}

/// The token in `Authorization`: after `Bearer`, in any case (RFC 9110, 11.1), or the whole value, since NocoBase takes
/// a bare token too. What is no token does not verify.
fn token_of(value: &str) -> &str {
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        None if value.eq_ignore_ascii_case("bearer") => "",
        _ => value,
    }
}

fn facts<'a>(
    request: &'a RequestHeader,
    client_ip: IpAddr,
    credential: Credential,
    session: SessionState,
    signed_out: bool,
) -> Request<'a> {
    // One look at each header instead of a search for each name. Of several under one name the first counts.
    let (mut user_agent, mut accept, mut origin, mut x_requested_with) = (None, None, None, None);
    let (mut sec_fetch_mode, mut sec_fetch_dest, mut sec_fetch_site) = (None, None, None);
    for (name, value) in &request.headers {
        let fact = match *name {
            header::USER_AGENT => &mut user_agent,
            header::ACCEPT => &mut accept,
            header::ORIGIN => &mut origin,
            _ => match name.as_str() {
                "sec-fetch-mode" => &mut sec_fetch_mode,
                "sec-fetch-dest" => &mut sec_fetch_dest,
                "sec-fetch-site" => &mut sec_fetch_site,
                "x-requested-with" => &mut x_requested_with,
                _ => continue,
            },
        };
        fact.get_or_insert(ascii(value));
    }
    Request {
        method: request.method.as_str(),
        path: request.uri.path(),
        query: request.uri.query(),
        host: framing::host(request),
        user_agent: user_agent.flatten(),
        accept: accept.flatten(),
        sec_fetch_mode: sec_fetch_mode.flatten(),
        sec_fetch_dest: sec_fetch_dest.flatten(),
        sec_fetch_site: sec_fetch_site.flatten(),
        x_requested_with: x_requested_with.flatten(),
        origin: origin.flatten(),
        upgrade: framing::is_upgrade(request),
        client_ip,
        credential,
        session,
        signed_out,
        own_cookie: false,
    }
}

/// The query without `token`, when it has one.
fn foreign_token_removed(request: &RequestHeader) -> Option<String> {
    let query = request.uri.query().filter(|q| decide::query::has(q, "token"))?;
    Some(decide::query::without(query, &["token"]).unwrap_or_default())
}

fn is_sign_out(gate: &Gate, request: &RequestHeader) -> bool {
    request
        .uri
        .path()
        .strip_prefix(&gate.config.nocobase.public_path)
        .is_some_and(|rest| rest == "api/auth:signOut")
}

/// Cookies are renewed by pages and API calls, so that assets stay cacheable.
fn worth_renewing(gate: &Gate, request: &RequestHeader, page_load: bool) -> bool {
    page_load
        || request
            .uri
            .path()
            .strip_prefix(&gate.config.nocobase.public_path)
            .is_some_and(|p| p.starts_with("api/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bearers_are_read_to_the_letter() {
        for (value, token) in [
            ("Bearer abc", "abc"),
            ("bearer  abc ", "abc"),
            ("Bearer", ""),
            ("Bearer ", ""),
            ("Basic abc", "Basic abc"),
            ("abc", "abc"),
        ] {
            assert_eq!(token_of(value), token, "{value}");
        }
    }

    #[test]
    fn facts_are_the_first_of_each_name() {
        let mut r = RequestHeader::build("GET", b"/", None).unwrap();
        for (name, value) in [
            ("Host", &b"gate.test"[..]),
            ("User-Agent", b"one"),
            ("User-Agent", b"two"),
            ("Accept", b"\xe5"),
            ("Accept", b"text/html"),
            ("Sec-Fetch-Mode", b"navigate"),
            ("Sec-Fetch-Dest", b"document"),
            ("Sec-Fetch-Site", b"none"),
            ("X-Requested-With", b"XMLHttpRequest"),
            ("Origin", b"http://gate.test"),
            ("Sec-Fetch-User", b"?1"),
        ] {
            r.append_header(name, value).unwrap();
        }
        for spelled in [true, false] {
            if !spelled {
                forget_spelling(&mut r);
            }
            let f = facts(&r, IpAddr::from([127, 0, 0, 1]), Credential::None, SessionState::None, false);
            assert_eq!(f.host, Some("gate.test"));
            assert_eq!((f.user_agent, f.accept), (Some("one"), None));
            assert_eq!((f.sec_fetch_mode, f.sec_fetch_dest), (Some("navigate"), Some("document")));
            assert_eq!((f.sec_fetch_site, f.x_requested_with), (Some("none"), Some("XMLHttpRequest")));
            assert_eq!(f.origin, Some("http://gate.test"));
        }
    }

    #[test]
    fn forgotten_spelling_keeps_everything_else() {
        let mut r = RequestHeader::build("POST", b"/api/x?q=%61", None).unwrap();
        r.append_header("X-Role", "a").unwrap();
        r.append_header("x-rOLE", "b").unwrap();
        forget_spelling(&mut r);
        assert!(!r.has_case());
        assert_eq!((r.method.as_str(), r.raw_path()), ("POST", &b"/api/x?q=%61"[..]));
        assert_eq!(r.headers.get_all("x-role").iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn r01_what_is_decided_on_is_what_is_forwarded() {
        let mut r = RequestHeader::build("GET", b"http://gate.test/%61pi/x?q=%61", None).unwrap();
        canonicalise(&mut r).unwrap();
        assert_eq!(r.raw_path(), b"/api/x?q=%61");
        assert!(r.uri.authority().is_none());
        let mut r = RequestHeader::build("GET", b"HTTP://gate.test/api/x?q", None).unwrap();
        canonicalise(&mut r).unwrap();
        assert_eq!(r.raw_path(), b"/api/x?q");
        let mut r = RequestHeader::build("GET", b"/a/../b", None).unwrap();
        assert_eq!(canonicalise(&mut r), Err(Failure::BadPath));
    }

    proptest! {
        #[test]
        fn r01_whatever_comes_in_is_forwarded_as_it_was_decided_on(
            target in "(http://[a-z:/]{0,12})?/([ -~]|%2[0-9A-F]|/|%|[.]|[?]){0,24}",
        ) {
            let built = RequestHeader::build("GET", target.as_bytes(), None);
            if let Some(mut r) = built.ok().filter(|r| r.raw_path_is_utf8())
                && canonicalise(&mut r).is_ok()
            {
                let query = r.uri.query().map(str::to_owned);
                let sent = std::str::from_utf8(r.raw_path()).unwrap().to_owned();
                let (path, after) = sent.split_once('?').map_or((&*sent, None), |(p, q)| (p, Some(q)));
                prop_assert_eq!(path, r.uri.path());
                let again = decide::path::canonical(path);
                prop_assert_eq!(again.as_deref(), Ok(path));
                prop_assert_eq!(after, query.as_deref());
            }
        }
    }

    #[test]
    fn r06_what_is_no_path_is_refused() {
        for target in [&b"?x"[..], b"api/x", b"*", b"gate.test:80", b"file:///x", b"http:/x"] {
            // What Pingora refuses itself does not get as far as here.
            if let Ok(mut r) = RequestHeader::build("GET", target, None) {
                assert_eq!(canonicalise(&mut r), Err(Failure::BadPath), "{}", target.escape_ascii());
            }
        }
    }
}
