//! Addresses of WeCom's sign-in pages. Parameters are in the documented order and encoded more strictly than by
//! `encodeURIComponent`: everything outside RFC 3986's unreserved set becomes `%XX`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What WeCom asks the member for inside its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// `snsapi_base`: silent, returns the userid.
    Base,
    /// `snsapi_privateinfo`: a consent page, returns a `user_ticket` for phone and e-mail.
    PrivateInfo,
}

impl Scope {
    /// The name used by WeCom.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Scope::Base => "snsapi_base",
            Scope::PrivateInfo => "snsapi_privateinfo",
        }
    }
}

/// Percent-encodes one parameter value.
pub(super) fn encode(value: &str) -> String {
    utf8_percent_encode(value, RESERVED).to_string()
}

/// `base` with the parameters appended in this order.
pub(super) fn with_query(base: &str, params: &[(&str, &str)]) -> String {
    let mut out = base.to_owned();
    let mut separator = if base.contains('?') { '&' } else { '?' };
    for (name, value) in params {
        out.push(separator);
        out.push_str(name);
        out.push('=');
        out.extend(utf8_percent_encode(value, RESERVED));
        separator = '&';
    }
    out
}

/// In-client OAuth (doc 91022). `agentid` is always sent: without it WeCom returns no ticket.
pub(super) fn authorize(
    base: &Url,
    corp: &str,
    agent: &str,
    scope: Scope,
    state: &str,
    redirect_uri: &str,
) -> String {
    let mut out = with_query(
        without_fragment(base),
        &[
            ("appid", corp),
            ("redirect_uri", redirect_uri),
            ("response_type", "code"),
            ("scope", scope.name()),
            ("state", state),
            ("agentid", agent),
        ],
    );
    out.push_str("#wechat_redirect");
    out
}

/// Web login (doc 98152). `lang` is `zh` or `en`; every tag other than `zh` becomes `en`.
pub(super) fn web_login(
    base: &Url,
    corp: &str,
    agent: &str,
    state: &str,
    redirect_uri: &str,
    lang: &str,
) -> String {
    let chinese = lang.get(..2).is_some_and(|l| l.eq_ignore_ascii_case("zh"));
    with_query(
        without_fragment(base),
        &[
            ("login_type", "CorpApp"),
            ("appid", corp),
            ("agentid", agent),
            ("redirect_uri", redirect_uri),
            ("state", state),
            ("lang", if chinese { "zh" } else { "en" }),
        ],
    )
}

fn without_fragment(base: &Url) -> &str {
    let whole = base.as_str();
    whole.split_once('#').map_or(whole, |(before, _)| before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(s: &str) -> Url {
        Url::parse(s).unwrap()
    }

    #[test]
    fn authorize_link_is_the_documented_one() {
        let base = url("https://open.weixin.qq.com/connect/oauth2/authorize");
        let got = authorize(
            &base,
            "ww0123456789abcdef",
            "1000002",
            Scope::Base,
            "abc123",
            "https://nocobase.example.com:8443/wecom-gate/callback",
        );
        assert_eq!(
            got,
            "https://open.weixin.qq.com/connect/oauth2/authorize?appid=ww0123456789abcdef\
             &redirect_uri=https%3A%2F%2Fnocobase.example.com%3A8443%2Fwecom-gate%2Fcallback\
             &response_type=code&scope=snsapi_base&state=abc123&agentid=1000002#wechat_redirect"
        );
        let consent = authorize(&base, "c", "1", Scope::PrivateInfo, "s", "https://h/");
        assert!(consent.contains("&scope=snsapi_privateinfo&state=s&agentid=1#wechat_redirect"));
    }

    #[test]
    fn web_login_link_is_the_documented_one() {
        let base = url("https://login.work.weixin.qq.com/wwlogin/sso/login");
        for (lang, want) in
            [("zh", "zh"), ("zh-CN", "zh"), ("ZH", "zh"), ("en", "en"), ("de", "en"), ("", "en"), ("ü", "en")]
        {
            assert_eq!(
                web_login(&base, "ww01", "1000002", "s1", "https://h.example/cb", lang),
                format!(
                    "https://login.work.weixin.qq.com/wwlogin/sso/login?login_type=CorpApp&appid=ww01\
                     &agentid=1000002&redirect_uri=https%3A%2F%2Fh.example%2Fcb&state=s1&lang={want}"
                )
            );
        }
    }

    #[test]
    fn r24_values_cannot_add_parameters() {
        let got = web_login(&url("https://h/x"), "a&b=c", "1#2", "s?t", "u v+w", "en");
        assert_eq!(
            got,
            "https://h/x?login_type=CorpApp&appid=a%26b%3Dc&agentid=1%232&redirect_uri=u%20v%2Bw&state=s%3Ft&lang=en"
        );
    }

    #[test]
    fn bases_with_query_or_fragment_still_work() {
        let got = authorize(&url("https://h/auth?tenant=1#old"), "c", "1", Scope::Base, "s", "r");
        assert!(got.starts_with("https://h/auth?tenant=1&appid=c&"), "{got}");
        assert!(got.ends_with("&agentid=1#wechat_redirect"), "{got}");
    }

    #[test]
    fn only_the_unreserved_set_stays() {
        assert_eq!(encode("aZ09-._~"), "aZ09-._~");
        assert_eq!(encode("!*'()@:/ +"), "%21%2A%27%28%29%40%3A%2F%20%2B");
    }
}
