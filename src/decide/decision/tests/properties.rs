//! Properties that hold for every request: over all combinations of the relevant values, and over arbitrary texts.

use proptest::prelude::*;

use super::*;
use crate::decide::path::canonical;

const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "CONNECT"];
const PATHS: [&str; 11] = [
    "/",
    "/admin",
    "/api/users:list",
    "/api/webhook:x",
    "/files/main/1.pdf",
    "/assets/x.js",
    "/ws",
    "/signin",
    "/api/auth:signIn",
    "/wecom-gate/me",
    "/wecom-gate/none",
];
const AGENTS: [Option<&str>; 5] = [Some(WECOM), Some(WECHAT), Some(PHONE), Some(CHROME), None];
const SITES: [Option<&str>; 4] = [None, Some("same-origin"), Some("none"), Some("cross-site")];
const ORIGINS: [Option<&str>; 3] = [None, Some(ORIGIN), Some("https://evil.com")];
const CREDENTIALS: [Credential; 5] =
    [Credential::None, Credential::Phantom, Credential::ApiToken, Credential::OwnToken, Credential::Invalid];
const SESSIONS: [SessionState; 3] = [SessionState::None, SessionState::Valid, SessionState::Ended];

/// Calls `check` with every combination of the relevant values, with NocoBase's password form on and off.
fn for_all(mut check: impl FnMut(&Policy, &Request<'_>)) {
    // NocoBase's own cookie is read only if its form is on.
    for (api_keys, browsers, password, own_cookie) in [
        (true, Browsers::WebLogin, false, false),
        (false, Browsers::Deny, false, false),
        (false, Browsers::SignInPage, true, false),
        (false, Browsers::NocoBase, true, true),
    ] {
        let policy = Policy { api_keys, browsers, password, ..policy() };
        for (method, path) in METHODS.into_iter().flat_map(|m| PATHS.map(|p| (m, p))) {
            for (user_agent, site) in AGENTS.into_iter().flat_map(|a| SITES.map(|s| (a, s))) {
                for (origin, credential) in ORIGINS.into_iter().flat_map(|o| CREDENTIALS.map(|c| (o, c))) {
                    for (session, bits) in
                        SESSIONS.into_iter().flat_map(|s| [0, 1, 2, 3, 4, 5, 6, 7].map(|b| (s, b)))
                    {
                        let base = if bits & 1 == 0 { page(path) } else { call(path) };
                        let client_ip = if bits & 4 == 0 { base.client_ip } else { [10, 0, 0, 1].into() };
                        let request = Request {
                            method,
                            user_agent,
                            sec_fetch_site: site,
                            origin,
                            credential,
                            session,
                            upgrade: bits & 2 != 0,
                            client_ip,
                            own_cookie,
                            ..base
                        };
                        check(&policy, &request);
                    }
                }
            }
        }
    }
}

/// May this request pass without a session?
fn free(policy: &Policy, request: &Request<'_>) -> bool {
    address::contains(&policy.bypass, request.client_ip)
        || policy.public.matches(request.method, request.path)
}

/// Is this NocoBase's password form, or a file or call that it needs? Written independently of the code under test: exact names,
/// each with its methods.
fn is_of_the_form(request: &Request<'_>) -> bool {
    const FILES: [&str; 4] = ["/assets/", "/static/", "/v/assets/", "/v/static/"];
    let get = matches!(request.method, "GET" | "HEAD");
    let file = FILES.iter().any(|folder| request.path.starts_with(folder));
    let page = matches!(request.path, "/signin" | "/v/signin");
    let own_page = request.origin == Some(ORIGIN)
        && request.sec_fetch_site.is_none_or(|s| s == "same-origin")
        || request.origin.is_none() && request.sec_fetch_site == Some("same-origin");
    let sign_in = request.method == "POST" && request.path == "/api/auth:signIn" && own_page;
    !request.upgrade && (get && (file || page) || sign_in)
}

/// May this request pass because NocoBase's password form is on: as a part of the form, or by the cookie of a user who has signed
/// in there? That cookie counts only alone and only for the site's own requests, never for an API call or anything that changes
/// data.
fn may_pass_by_password(policy: &Policy, request: &Request<'_>) -> bool {
    let by_cookie = request.own_cookie
        && request.credential == Credential::None
        && (matches!(request.method, "GET" | "HEAD") || request.upgrade)
        && !request.path.starts_with("/api/")
        && request.origin.is_none_or(|origin| origin == ORIGIN || request.sec_fetch_site.is_some())
        && (!request.upgrade || request.path == "/ws" && request.origin == Some(ORIGIN))
        && (request.sec_fetch_site != Some("cross-site") || request.sec_fetch_dest == Some("document"));
    let socket = request.upgrade
        && request.path == "/ws"
        && request.origin == Some(ORIGIN)
        && request.session == SessionState::None
        && request.credential == Credential::None;
    policy.password && (is_of_the_form(request) || by_cookie || socket)
}

fn passes(decision: &Decision) -> Option<Identity> {
    match decision {
        Decision::Forward(pass) => Some(pass.identity),
        _ => None,
    }
}

fn check_one(policy: &Policy, request: &Request<'_>) {
    let decision = decide(policy, request);
    let allowed = |identity| match identity {
        Identity::Member => {
            request.session == SessionState::Valid
                && cookie_counts(policy, request)
                && matches!(request.credential, Credential::None | Credential::Phantom)
        }
        Identity::Token => match request.credential {
            Credential::ApiToken => policy.api_keys,
            Credential::OwnToken => policy.api_keys || policy.password,
            _ => false,
        },
        Identity::Anonymous => {
            request.session == SessionState::Valid
                || free(policy, request)
                || may_pass_by_password(policy, request)
        }
    };
    if let Some(identity) = passes(&decision) {
        assert!(allowed(identity), "{request:?} {decision:?}");
        assert!(!is_own(request.path) && request.method != "CONNECT", "{request:?} {decision:?}");
    }
    if let Decision::Forward(pass) = decision {
        assert!(!pass.put_cookies || (pass.identity == Identity::Member && is_get(request)), "{request:?}");
        let seen_by_person = request.session == SessionState::Valid || may_pass_by_password(policy, request);
        assert!(!pass.put_script || seen_by_person, "{request:?}");
    }
    if is_own(request.path) {
        assert!(matches!(decision, Decision::Own(_) | Decision::Refuse { .. }), "{request:?} {decision:?}");
    }
    if matches!(decision, Decision::Login { .. } | Decision::Page(_)) {
        assert!(is_page_load(policy, request), "only page loads are redirected: {request:?}");
    }
}

#[test]
fn r07_nothing_passes_without_session_token_network_or_rule() {
    let (mut seen, mut by_password) = (0, 0);
    for_all(|policy, request| {
        seen += 1;
        check_one(policy, request);
        let stranger = request.session == SessionState::None && !free(policy, request);
        let passed = passes(&decide(policy, request)) == Some(Identity::Anonymous);
        by_password += usize::from(stranger && passed);
    });
    assert!(seen > 100_000, "{seen}");
    assert!(by_password > 1_000, "{by_password}: the password form was not tried");
}

#[test]
fn the_password_form_takes_nothing_away_and_adds_only_itself_and_its_people() {
    let mut added = 0;
    for_all(|open, request| {
        let closed = Policy { password: false, ..open.clone() };
        let (with, without) = (passes(&decide(open, request)), passes(&decide(&closed, request)));
        if without.is_some() {
            let named = with == Some(Identity::Token) && request.credential == Credential::OwnToken;
            assert!(with == without || named, "{request:?} {with:?} {without:?}");
        } else if with.is_some() {
            added += 1;
            let by_token = with == Some(Identity::Token) && request.credential == Credential::OwnToken;
            let by_form = with == Some(Identity::Anonymous) && may_pass_by_password(open, request);
            assert!(by_token || by_form, "{request:?} {with:?}");
        }
    });
    assert!(added > 1_000, "{added}: the form was never open");
}

#[test]
fn r02_no_user_agent_changes_a_refusal() {
    for_all(|policy, request| {
        // Requests that may pass by the password form pass only in a browser, which can show that page.
        if request.user_agent.is_some() && !may_pass_by_password(policy, request) {
            let other = Request { user_agent: None, ..*request };
            assert_eq!(passes(&decide(policy, request)), passes(&decide(policy, &other)), "{request:?}");
        }
    });
}

#[test]
fn a_cookie_never_takes_away_what_strangers_may_do() {
    for_all(|policy, request| {
        let stranger = Request { session: SessionState::None, ..*request };
        // Except the form's WebSocket: the page of an ended session would send its phantom there. The refusal deletes the cookie,
        // and the page tries again.
        if request.upgrade && request.path == "/ws" && request.session == SessionState::Ended {
            return;
        }
        if passes(&decide(policy, &stranger)).is_some() {
            assert!(passes(&decide(policy, request)).is_some(), "{request:?}");
        }
    });
}

#[test]
fn a_cookie_from_another_site_is_as_good_as_none() {
    for_all(|policy, request| {
        if request.session == SessionState::Valid && !cookie_counts(policy, request) && !is_own(request.path)
        {
            let stranger = Request { session: SessionState::None, ..*request };
            let (with, without) = (decide(policy, request), decide(policy, &stranger));
            // Only the reason may differ.
            if with != without {
                assert_eq!((with, without), (no(Failure::CrossSite), no(Failure::NoSession)), "{request:?}");
            }
        }
    });
}

/// Texts that a client could send, in all fields.
#[derive(Debug, Clone)]
struct Texts {
    path: String,
    fields: [Option<String>; 9],
}

fn texts() -> impl Strategy<Value = Texts> {
    let hint = prop::sample::select(vec![
        "GET",
        "POST",
        "gate.example.com",
        WECOM,
        CURL,
        HTML,
        "*/*",
        "navigate",
        "document",
        "same-origin",
        "cross-site",
        "none",
        "XMLHttpRequest",
        ORIGIN,
        "null",
        "token=x",
        "%74oken",
    ])
    .prop_map(str::to_owned);
    let text = prop_oneof![hint, ".*"];
    let path = prop_oneof![
        "/(admin|api|files|ws|wecom-gate|assets|open|signin|WW_verify_a\\.txt)?(/[a-z:.]{0,8}){0,2}",
        ".*",
        prop::sample::select(PATHS.to_vec()).prop_map(str::to_owned),
    ];
    (path, prop::array::uniform9(prop::option::of(text))).prop_map(|(path, fields)| Texts { path, fields })
}

impl Texts {
    fn request(&self) -> Request<'_> {
        let [method, query, host, user_agent, accept, mode, dest, site, origin] =
            self.fields.each_ref().map(Option::as_deref);
        Request {
            method: method.unwrap_or("GET"),
            query,
            host: host.or(Some("gate.example.com")),
            user_agent,
            accept,
            sec_fetch_mode: mode,
            sec_fetch_dest: dest,
            sec_fetch_site: site,
            x_requested_with: query,
            origin,
            ..page(&self.path)
        }
    }
}

/// Configurations that differ in what passes without a session of the gate.
fn policies() -> impl Strategy<Value = Policy> {
    (any::<bool>(), any::<bool>()).prop_map(|(api_keys, password)| Policy { api_keys, password, ..policy() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_request_gets_a_response(
        texts in texts(),
        credential in prop::sample::select(CREDENTIALS.to_vec()),
        session in prop::sample::select(SESSIONS.to_vec()),
        upgrade: bool,
        signed_out: bool,
        own_cookie: bool,
        policy in policies(),
    ) {
        let request = Request { credential, session, upgrade, signed_out, own_cookie, ..texts.request() };
        // Also with paths that are not canonical: `proxy` never passes them on, but nothing must break if it did.
        check_one(&policy, &request);
        let path = canonical(request.path);
        if let Ok(path) = &path {
            check_one(&policy, &Request { path, ..request });
        }
    }

    #[test]
    fn r02_without_a_session_only_address_rule_key_and_form_let_pass(
        texts in texts(),
        credential in prop::sample::select(CREDENTIALS.to_vec()),
        session in prop::sample::select(vec![SessionState::None, SessionState::Ended]),
        own_cookie: bool,
        policy in policies(),
    ) {
        let request = Request { credential, session, own_cookie, host: Some("gate.example.com"), ..texts.request() };
        let ours = is_own(request.path)
            || without_code(&policy, &request).is_some()
            || verify_file(&policy, request.path).is_some()
            || application::is_other(&policy, &request)
            || is_sign_in_call(&policy, request.path) && !is_from_own_page(&policy, &request)
            || matches!(request.method, "CONNECT" | "TRACE");
        let by_token = match credential {
            Credential::ApiToken => policy.api_keys,
            Credential::OwnToken => policy.api_keys || policy.password,
            _ => false,
        };
        let may = !ours && (free(&policy, &request) || by_token);
        let passed = passes(&decide(&policy, &request)).is_some();
        prop_assert!(passed || !may, "{:?}", request);
        prop_assert!(!passed || may || !ours && may_pass_by_password(&policy, &request), "{:?}", request);
    }

    #[test]
    fn r02_no_query_changes_the_decision(
        texts in texts(),
        query in prop_oneof![".*", "(token|authenticator|code=|&state=|%74oken|__appName|[a-z&=%]){0,6}"],
        credential in prop::sample::select(CREDENTIALS.to_vec()),
        session in prop::sample::select(SESSIONS.to_vec()),
        own_cookie: bool,
        policy in policies(),
    ) {
        let bare =
            Request { query: None, x_requested_with: None, credential, session, own_cookie, ..texts.request() };
        let asked = Request { query: Some(&query), ..bare };
        match decide(&policy, &asked) {
            // Only the callback sees a code.
            Decision::Redirect(target) if without_code(&policy, &asked).is_some() => {
                prop_assert!(query::has(&query, "code") && query::has(&query, "state") && is_get(&asked));
                let (path, query) = target.split_once('?').map_or((target.as_str(), None), |(p, q)| (p, Some(q)));
                let again = without_code(&policy, &Request { path, query, ..asked });
                prop_assert!(again.is_none(), "{:?}", again);
            }
            // The one exception: a page load that would pass loses its `token`, and gets the same decision as without it.
            Decision::Redirect(target) => {
                let by_password = may_pass_by_password(&policy, &asked);
                prop_assert!(session == SessionState::Valid && cookie_counts(&policy, &asked) || by_password);
                // With an unacceptable token in `Authorization` it is refused, both before and after the redirect.
                let is_refused_key = match credential {
                    Credential::ApiToken => !policy.api_keys,
                    Credential::OwnToken => !policy.api_keys && !policy.password,
                    Credential::Invalid => true,
                    Credential::None | Credential::Phantom => false,
                };
                prop_assert!(passes(&decide(&policy, &bare)).is_some() || is_refused_key);
                prop_assert!(is_navigation(&asked));
                prop_assert!(query::has(&query, "token"));
                prop_assert!(target.starts_with('/') && !target.starts_with("//"));
                let (path, query) = target.split_once('?').map_or((target.as_str(), None), |(p, q)| (p, Some(q)));
                let again = decide(&policy, &Request { path, query, ..bare });
                prop_assert!(!matches!(again, Decision::Redirect(_)), "one redirect is enough: {:?}", again);
            }
            // NocoBase does not get a query that chooses another application either.
            Decision::Refuse { failure: Failure::OtherApplication, .. } => {
                prop_assert!(application::is_other(&policy, &asked));
            }
            decision => prop_assert_eq!(decision, decide(&policy, &bare)),
        }
    }
}
