//! What holds for every request: over all combinations of what matters, and over arbitrary texts.

use proptest::prelude::*;

use super::*;
use crate::decide::path::canonical;

const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "CONNECT"];
const PATHS: [&str; 9] = [
    "/",
    "/admin",
    "/api/users:list",
    "/api/webhook:x",
    "/files/main/1.pdf",
    "/assets/x.js",
    "/ws",
    "/wecom-gate/me",
    "/wecom-gate/none",
];
const AGENTS: [Option<&str>; 5] = [Some(WECOM), Some(WECHAT), Some(PHONE), Some(CHROME), None];
const SITES: [Option<&str>; 4] = [None, Some("same-origin"), Some("none"), Some("cross-site")];
const ORIGINS: [Option<&str>; 3] = [None, Some(ORIGIN), Some("https://evil.com")];
const CREDENTIALS: [Credential; 5] =
    [Credential::None, Credential::Phantom, Credential::ApiToken, Credential::OwnToken, Credential::Invalid];
const SESSIONS: [SessionState; 3] = [SessionState::None, SessionState::Valid, SessionState::Ended];

/// Calls `check` with every combination of what matters.
fn for_all(mut check: impl FnMut(&Policy, &Request<'_>)) {
    for (api_keys, browsers) in [(true, Browsers::WebLogin), (false, Browsers::Deny)] {
        let policy = Policy { api_keys, browsers, ..policy() };
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
        Identity::Nobody => request.session == SessionState::Valid || free(policy, request),
    };
    if let Some(identity) = passes(&decision) {
        assert!(allowed(identity), "{request:?} {decision:?}");
        assert!(!is_own(request.path) && request.method != "CONNECT", "{request:?} {decision:?}");
    }
    if let Decision::Forward(pass) = decision {
        assert!(!pass.put_cookies || (pass.identity == Identity::Member && is_get(request)), "{request:?}");
        assert!(!pass.put_script || request.session == SessionState::Valid, "{request:?}");
    }
    if is_own(request.path) {
        assert!(matches!(decision, Decision::Own(_) | Decision::Refuse { .. }), "{request:?} {decision:?}");
    }
    if matches!(decision, Decision::Login { .. } | Decision::Page(_)) {
        assert!(is_page_load(policy, request), "only page loads are led anywhere: {request:?}");
    }
}

#[test]
fn r07_nobody_passes_without_session_token_network_or_rule() {
    let mut seen = 0;
    for_all(|policy, request| {
        seen += 1;
        check_one(policy, request);
    });
    assert!(seen > 100_000, "{seen}");
}

#[test]
fn r02_no_user_agent_turns_a_refusal_into_a_pass() {
    for_all(|policy, request| {
        if request.user_agent.is_some() {
            let other = Request { user_agent: None, ..*request };
            assert_eq!(passes(&decide(policy, request)), passes(&decide(policy, &other)), "{request:?}");
        }
    });
}

#[test]
fn a_cookie_never_takes_away_what_strangers_may_do() {
    for_all(|policy, request| {
        let stranger = Request { session: SessionState::None, ..*request };
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
        "/(admin|api|files|ws|wecom-gate|assets|open|WW_verify_a\\.txt)?(/[a-z:.]{0,8}){0,2}",
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_request_gets_an_answer(
        texts in texts(),
        credential in prop::sample::select(CREDENTIALS.to_vec()),
        session in prop::sample::select(SESSIONS.to_vec()),
        upgrade: bool,
        signed_out: bool,
    ) {
        let request = Request { credential, session, upgrade, signed_out, ..texts.request() };
        // Also with paths that are not canonical: the edge never passes them on, and nothing breaks if it did.
        check_one(&policy(), &request);
        let path = canonical(request.path);
        if let Ok(path) = &path {
            check_one(&policy(), &Request { path, ..request });
        }
    }

    #[test]
    fn r02_without_a_session_only_address_rule_and_key_let_pass(
        texts in texts(),
        credential in prop::sample::select(CREDENTIALS.to_vec()),
        session in prop::sample::select(vec![SessionState::None, SessionState::Ended]),
    ) {
        let policy = policy();
        let request = Request { credential, session, host: Some("gate.example.com"), ..texts.request() };
        let may = !is_own(request.path)
            && verify_file(&policy, request.path).is_none()
            && !matches!(request.method, "CONNECT" | "TRACE")
            && (free(&policy, &request) || matches!(credential, Credential::ApiToken | Credential::OwnToken));
        prop_assert_eq!(passes(&decide(&policy, &request)).is_some(), may);
    }

    #[test]
    fn r02_no_query_changes_the_decision(
        texts in texts(),
        query in prop_oneof![".*", "(token|authenticator|%74oken|[a-z&=%]){0,6}"],
        credential in prop::sample::select(CREDENTIALS.to_vec()),
        session in prop::sample::select(SESSIONS.to_vec()),
    ) {
        let policy = policy();
        let bare = Request { query: None, x_requested_with: None, credential, session, ..texts.request() };
        let asked = Request { query: Some(&query), ..bare };
        match decide(&policy, &asked) {
            // The one exception: a signed-in page load loses its `token`, and ends where it would have without.
            Decision::Redirect(target) => {
                prop_assert_eq!(session, SessionState::Valid);
                prop_assert!(is_navigation(&asked) && cookie_counts(&policy, &asked));
                prop_assert!(query::has(&query, "token"));
                prop_assert!(target.starts_with('/') && !target.starts_with("//"));
                let (path, query) = target.split_once('?').map_or((target.as_str(), None), |(p, q)| (p, Some(q)));
                let again = decide(&policy, &Request { path, query, ..bare });
                prop_assert!(!matches!(again, Decision::Redirect(_)), "it ends: {:?}", again);
            }
            decision => prop_assert_eq!(decision, decide(&policy, &bare)),
        }
    }
}
