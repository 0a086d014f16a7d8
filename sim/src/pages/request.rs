//! The request for a page: parameters, cookie, language, client.

use std::collections::HashMap;

use axum::http::header;
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;

use crate::state::Shared;

/// Name of the cookie with the member of this client: `corpid/userid`, percent-encoded.
pub(super) const COOKIE: &str = "sim_member";

/// Language of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lang {
    En,
    Zh,
}

impl Lang {
    /// The text in this language.
    pub(super) fn t<'a>(&self, en: &'a str, zh: &'a str) -> &'a str {
        match self {
            Lang::En => en,
            Lang::Zh => zh,
        }
    }

    pub(super) fn of(self, (en, zh): (&'static str, &'static str)) -> &'static str {
        self.t(en, zh)
    }

    /// BCP 47.
    pub(super) fn tag(&self) -> &'static str {
        self.t("en", "zh-CN")
    }

    fn parse(text: &str) -> Option<Lang> {
        let text = text.trim().to_ascii_lowercase();
        if text.starts_with("zh") { Some(Lang::Zh) } else { (text.starts_with("en")).then_some(Lang::En) }
    }
}

/// A request for a page.
pub(super) struct PageRequest {
    /// Parameters of the query, or of the form; if one is repeated, the first value counts.
    params: HashMap<String, String>,
    /// All values of the form field `field`.
    pub(super) fields: Vec<String>,
    pub(super) lang: Lang,
    /// Path and query, to return to.
    pub(super) address: String,
    user_agent: String,
    cookie: Option<String>,
    header: Option<String>,
}

impl PageRequest {
    pub(super) fn new(parts: &Parts, body: &[u8]) -> PageRequest {
        let text = |name: header::HeaderName| {
            parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
        };
        let source = if body.is_empty() { parts.uri.query().unwrap_or("").as_bytes() } else { body };
        let (mut params, mut fields) = (HashMap::new(), Vec::new());
        for (k, v) in url::form_urlencoded::parse(source) {
            if k == "field" {
                fields.push(v.into_owned());
            } else {
                params.entry(k.into_owned()).or_insert_with(|| v.into_owned());
            }
        }
        let chosen = params.get("lang").and_then(|l| Lang::parse(l));
        let accepted = || text(header::ACCEPT_LANGUAGE).split(',').find_map(Lang::parse);
        let cookies = text(header::COOKIE);
        let cookie = cookie::Cookie::split_parse(cookies)
            .filter_map(Result::ok)
            .find(|c| c.name() == COOKIE)
            .map(|c| percent_decode_str(c.value()).decode_utf8_lossy().into_owned());
        PageRequest {
            lang: chosen.or_else(accepted).unwrap_or(Lang::En),
            params,
            fields,
            address: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            user_agent: text(header::USER_AGENT).to_ascii_lowercase(),
            cookie: cookie.filter(|c| !c.is_empty()),
            header: parts
                .headers
                .get("x-sim-member")
                .and_then(|v| v.to_str().ok())
                .filter(|v| !v.is_empty())
                .map(str::to_owned),
        }
    }

    /// A parameter; empty if it is absent.
    pub(super) fn get(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }

    /// These parameters, for hidden fields of a form.
    pub(super) fn again(&self, names: &[&'static str]) -> Vec<(&'static str, String)> {
        let found = names.iter().filter_map(|n| self.params.get(*n).map(|v| (*n, v.clone())));
        found.collect()
    }

    /// Whether the client is WeCom, personal WeChat, or a browser that imitates one.
    pub(super) fn in_client(&self) -> bool {
        ["wxwork/", "wxworklocal/", "micromessenger/"].iter().any(|p| self.user_agent.contains(p))
            || self.cookie.is_some()
            || self.header.is_some()
    }

    /// Whether the client is a phone's browser.
    pub(super) fn mobile(&self) -> bool {
        ["mobile", "iphone", "ipad", "android", "harmony"].iter().any(|p| self.user_agent.contains(p))
    }

    /// The member named by a test in the header.
    pub(super) fn scripted(&self) -> Option<&str> {
        self.header.as_deref()
    }

    /// The member picked on this client.
    pub(super) fn picked(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    /// The member of this client: from a test's header, the cookie, or the default.
    pub(super) fn holder(&self, sim: &Shared) -> Option<String> {
        let named = self.scripted().or(self.picked()).map(str::to_owned);
        named.or_else(|| sim.lock().settings.default_member.clone())
    }
}
