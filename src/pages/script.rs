//! The script for NocoBase's pages (`gate.js`, built from the files in `gate/`): its response, and the attributes of its tag.

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::json;

use super::lang::Lang;
use super::parts;
use super::rendered::Rendered;
use super::view::LOGIN;

/// A file that is compiled into the program.
#[derive(Debug)]
pub(crate) struct Script {
    /// Its text.
    pub body: String,
    /// The beginning of its SHA-256 in hex: changes when the text does.
    pub version: String,
    /// The address under which browsers may cache it permanently.
    pub src: String,
}

/// The parts of `gate.js`, which together form one function: the first two end it early if a page does not need the rest.
const GATE_JS_PARTS: &str = concat!(
    "(function () {\n'use strict';\n",
    include_str!("gate/begin.js"),
    include_str!("gate/token.js"),
    include_str!("gate/session_end.js"),
    include_str!("gate/unsaved.js"),
    include_str!("gate/calls.js"),
    include_str!("gate/form.js"),
    "})();\n",
);

static GATE_JS: LazyLock<Script> = LazyLock::new(|| {
    let body = GATE_JS_PARTS.replacen("{} /* texts */", &texts().to_string(), 1);
    let version = version_of(&body);
    Script { body, src: format!("/wecom-gate/gate.js?v={version}"), version }
});

/// The first digits of a text's SHA-256.
fn version_of(body: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, body.as_bytes());
    hex::encode(hash.as_ref().get(..8).unwrap_or_default())
}

/// The script's texts, by language: the script knows better than any header which one NocoBase's page shows.
fn texts() -> serde_json::Value {
    let of = |lang: Lang| {
        json!({
            "with": lang.text_with_name(parts::SIGN_IN_WITH, "{title}"),
            "wecom": lang.text(parts::WECOM),
            "or": lang.text(parts::OR),
            "out": lang.text(parts::SESSION_OVER),
            "again": lang.text(parts::SIGN_IN_AGAIN),
        })
    };
    Lang::all().into_iter().map(|lang| (lang.tag(), of(lang))).collect::<serde_json::Map<_, _>>().into()
}

/// The script itself.
pub(crate) fn script() -> &'static Script {
    &GATE_JS
}

/// The response to `GET /wecom-gate/gate.js?v=...`. Only the address with this version may be cached permanently: after an
/// update, or on another node, the content may differ.
pub(crate) fn gate_js(version: Option<&str>) -> Rendered {
    let cache = if version == Some(GATE_JS.version.as_str()) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    Rendered {
        status: 200,
        body: GATE_JS.body.clone(),
        headers: vec![
            ("Content-Type", "text/javascript; charset=utf-8".to_owned()),
            ("Cache-Control", cache.to_owned()),
            ("X-Content-Type-Options", "nosniff".to_owned()),
            ("Cross-Origin-Resource-Policy", "same-origin".to_owned()),
        ],
    }
}

/// Attributes of the script's tag, which is the first element in the `<head>` of NocoBase's index.html.
///
/// `token` is the page's token: the phantom (`sealed`) or NocoBase's own. `user` is NocoBase's user id: when it changes, the
/// previous user's data in the browser is removed.
pub(crate) fn script_attributes<'a>(
    token: &'a str,
    app: &'a str,
    sealed: bool,
    user: &'a str,
) -> [(&'static str, &'a str); 5] {
    [
        ("data-token", token),
        ("data-app", app),
        ("data-delivery", if sealed { "sealed" } else { "browser" }),
        ("data-login", LOGIN),
        ("data-user", user),
    ]
}

/// The same for pages without a session of the gate: NocoBase's own sign-in page, and pages of users who signed in there.
///
/// `entries` is a JSON list of `[name, title]`, each a button below NocoBase's form; `lang` is its language if NocoBase's page
/// has stored none.
pub(crate) fn form_attributes<'a>(
    app: &'a str,
    entries: &'a str,
    lang: &'a str,
) -> [(&'static str, &'a str); 4] {
    [("data-app", app), ("data-login", LOGIN), ("data-entries", entries), ("data-lang", lang)]
}

/// `<script src="..." data-...="..."></script>`. Values are escaped; a name that does not consist of lower-case letters, digits
/// and `-` is left out.
pub(crate) fn script_tag(src: &str, attributes: &[(&str, &str)]) -> Bytes {
    let mut tag = String::from("<script");
    for (name, value) in std::iter::once(&("src", src)).chain(attributes) {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || !name.bytes().all(plain) {
            continue;
        }
        tag.push(' ');
        tag.push_str(name);
        tag.push_str("=\"");
        for c in value.chars() {
            match c {
                '&' => tag.push_str("&amp;"),
                '<' => tag.push_str("&lt;"),
                '>' => tag.push_str("&gt;"),
                '"' => tag.push_str("&quot;"),
                '\'' => tag.push_str("&#39;"),
                c => tag.push(c),
            }
        }
        tag.push('"');
    }
    tag.push_str("></script>");
    tag.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_version_is_kept_for_good() {
        let right = gate_js(Some(&script().version));
        assert_eq!(right.header("cache-control"), Some("public, max-age=31536000, immutable"));
        for wrong in [None, Some(""), Some("0123456789abcdef")] {
            assert_eq!(gate_js(wrong).header("cache-control"), Some("no-cache"));
        }
        assert_eq!(right.header("content-type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(right.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(right.header("cross-origin-resource-policy"), Some("same-origin"));
    }

    #[test]
    fn the_script_runs_in_old_webviews() {
        // A rough check.
        let comment = |line: &&str| ["*", "/*", "//"].iter().any(|c| line.trim_start().starts_with(c));
        let code: String = script().body.lines().filter(|line| !comment(line)).collect();
        let code = code + super::super::rendered::SCRIPT;
        for newer in ["=>", "`", "const ", "let ", "class ", "...", "async ", "for (var x of"] {
            assert!(!code.contains(newer), "{newer}");
        }
    }

    #[test]
    fn the_script_speaks_every_language() {
        let texts = texts();
        let langs: Vec<_> = texts.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(langs, ["de", "en", "es", "nl", "ru", "sv", "zh"]);
        for name in ["with", "or", "out", "again"] {
            let mut seen: Vec<&str> = langs.iter().map(|lang| texts[lang][name].as_str().unwrap()).collect();
            assert!(seen.iter().all(|text| !text.is_empty()), "{name}: {seen:?}");
            assert!(seen.iter().all(|text| text.contains("{title}") == (name == "with")), "{name}: {seen:?}");
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), langs.len(), "{name}: two languages have the same text: {seen:?}");
        }
        assert_eq!((&texts["zh"]["wecom"], &texts["sv"]["wecom"]), (&"企业微信".into(), &"WeCom".into()));
        assert!(script().body.contains(&texts.to_string()));
    }

    #[test]
    fn the_script_reads_every_attribute_that_it_is_given() {
        for (name, value) in script_attributes("wcg_x", "main", true, "7") {
            // The script handles both deliveries alike; this attribute is for people who inspect the page.
            let read = script().body.contains(&format!("'{name}'"));
            assert!((read || name == "data-delivery") && !value.is_empty(), "{name}");
        }
        assert_eq!(script().src, format!("/wecom-gate/gate.js?v={}", script().version));
    }
}
