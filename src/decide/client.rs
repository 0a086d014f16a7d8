//! The kind of client, by `User-Agent` (doc 90315 and field samples).
//!
//! A User-Agent can be forged, so it only ever chooses between ways to sign in (R2).

/// Kind of client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// WeCom's own webview, of the public service or a private deployment.
    WeCom {
        /// On a phone or tablet.
        mobile: bool,
    },
    /// Personal WeChat.
    WeChat,
    /// Any other browser.
    Browser {
        /// On a phone or tablet.
        mobile: bool,
    },
    /// No browser: no User-Agent, or one without `Mozilla/`.
    Program,
}

impl Caller {
    /// On a phone or tablet (personal WeChat counts as one).
    pub fn is_mobile(self) -> bool {
        match self {
            Caller::WeCom { mobile } | Caller::Browser { mobile } => mobile,
            Caller::WeChat => true,
            Caller::Program => false,
        }
    }
}

/// Distinguishes the kinds of client. WeCom's User-Agents contain WeChat's token too, so WeCom is looked for first; the order of
/// the other tokens varies, and some clients send everything twice.
pub fn caller(user_agent: Option<&str>) -> Caller {
    let Some(ua) = user_agent else { return Caller::Program };
    if word(ua, "wxwork/") || word(ua, "wxworklocal/") {
        Caller::WeCom { mobile: mobile(ua) }
    } else if find(ua, "micromessenger/").is_some() {
        Caller::WeChat
    } else if find(ua, "mozilla/").is_some() {
        Caller::Browser { mobile: mobile(ua) }
    } else {
        Caller::Program
    }
}

/// The language that a WeCom or WeChat client names (`Language/zh`, `Lang/zh`, `Language/zh_CN`), as written. Only a hint:
/// `Accept-Language` and the user's own choice take precedence.
pub fn language(user_agent: &str) -> Option<&str> {
    ["language/", "lang/"].iter().find_map(|name| {
        let rest = user_agent.get(find_word(user_agent, name)? + name.len()..)?;
        let end =
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(rest.len());
        rest.get(..end).filter(|tag| (2..=16).contains(&tag.len()))
    })
}

/// Desktop clients name their system; on iPads, `Macintosh` occurs together with `Mobile/`.
fn mobile(ua: &str) -> bool {
    let any = |names: &[&str]| names.iter().any(|name| find(ua, name).is_some());
    if any(&["windowswechat", "macwechat", "windows nt", "(pc;"]) {
        return false;
    }
    any(&["mobile", "iphone", "ipad", "android", "harmony"])
}

fn word(haystack: &str, needle: &str) -> bool {
    find_word(haystack, needle).is_some()
}

/// Like [`find`], but only at the beginning of a word.
pub(super) fn find_word(haystack: &str, needle: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + find(haystack.get(from..)?, needle)?;
        let before = haystack.as_bytes().get(at.wrapping_sub(1)).copied();
        if !before.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Some(at);
        }
        from = at + needle.len();
    }
}

/// The position of `needle` (lower-case ASCII), ignoring case.
pub(super) fn find(haystack: &str, needle: &str) -> Option<usize> {
    haystack.as_bytes().windows(needle.len()).position(|w| w.eq_ignore_ascii_case(needle.as_bytes()))
}

#[cfg(test)]
mod tests;
