//! The script for NocoBase's pages (`gate.js`, built from the files in `gate/`): its response, and the attributes of its tag.

use bytes::Bytes;
use serde_json::json;

use super::appearance::Appearance;
use super::lang::Lang;
use super::parts;
use super::rendered::Rendered;
use super::script_file::Script;
use super::view::LOGIN;

/// The parts of `gate.js`, which together form one function: the first two end it early if a page does not need the rest.
const GATE_JS_PARTS: &str = concat!(
    "(function () {\n'use strict';\n",
    include_str!("gate/begin.js"),
    include_str!("gate/token.js"),
    include_str!("gate/session_end.js"),
    include_str!("gate/unsaved.js"),
    include_str!("gate/calls.js"),
    include_str!("gate/language.js"),
    include_str!("gate/plugins.js"),
    include_str!("gate/maintenance.js"),
    include_str!("gate/form.js"),
    "})();\n",
);

/// Where the colour of buttons, and the texts, are in them.
const ACCENT: &str = "'#0958d9' /* accent */";
const TEXTS: &str = "{} /* texts */";

/// The script itself, with a company's texts and colour.
pub(crate) fn script(look: &Appearance) -> &Script {
    look.script(|| {
        // Old webviews end a line at these two characters, even within a string.
        let texts = texts(look).to_string().replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
        let accent = look.accent().map(|accent| format!("'{}'", accent.css()));
        let accent = accent.as_deref().unwrap_or(ACCENT);
        let body = GATE_JS_PARTS.replacen(ACCENT, accent, 1).replacen(TEXTS, &texts, 1);
        let version = version_of(&body);
        Script { body, src: format!("/wecom-gate/gate.js?v={version}"), version }
    })
}

/// The first digits of a text's SHA-256.
fn version_of(body: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, body.as_bytes());
    hex::encode(hash.as_ref().get(..8).unwrap_or_default())
}

/// The script's texts, by language: the script knows better than any header which one NocoBase's page shows.
fn texts(look: &Appearance) -> serde_json::Value {
    let of = |lang: Lang| {
        let text = |key: &str| look.text(lang, key);
        let help = look.help(lang);
        json!({
            "with": look.text_with_name(lang, parts::SIGN_IN_WITH, "{title}"),
            "wecom": text(parts::WECOM),
            "or": text(parts::OR),
            "out": text(parts::SESSION_OVER),
            "again": text(parts::SIGN_IN_AGAIN),
            "closed": text(parts::CLOSED_FOR_OTHERS),
            "help": help.map(|(text, _)| text),
            "link": help.and_then(|(_, link)| link),
        })
    };
    Lang::all().into_iter().map(|lang| (lang.tag(), of(lang))).collect::<serde_json::Map<_, _>>().into()
}

/// The response to `GET /wecom-gate/gate.js?v=...`. Only the address with this version may be cached permanently: after an
/// update, or on another node, the content may differ.
pub(crate) fn gate_js(look: &Appearance, version: Option<&str>) -> Rendered {
    let script = script(look);
    let cache = if version == Some(script.version.as_str()) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    Rendered {
        status: 200,
        body: script.body.clone(),
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
/// previous user's data in the browser is removed. `closed`: the app is closed for maintenance, and the user may use it
/// nevertheless. `plugins`: files that the page will request.
pub(crate) fn script_attributes<'a>(
    token: &'a str,
    app: &'a str,
    sealed: bool,
    user: &'a str,
    closed: bool,
    plugins: Option<&'a str>,
) -> impl Iterator<Item = (&'static str, &'a str)> {
    let always = [
        ("data-token", token),
        ("data-app", app),
        ("data-delivery", if sealed { "sealed" } else { "browser" }),
        ("data-login", LOGIN),
        ("data-user", user),
        ("data-maintenance", if closed { "on" } else { "off" }),
    ];
    always.into_iter().chain(plugins.map(|plugins| ("data-plugins", plugins)))
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
    use crate::pages::{Accent, Choices};

    #[test]
    fn only_the_right_version_is_kept_for_good() {
        let gate_js = |version| gate_js(Appearance::plain(), version);
        let right = gate_js(Some(&script(Appearance::plain()).version));
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
        let code: String = script(Appearance::plain()).body.lines().filter(|line| !comment(line)).collect();
        let code = code + super::super::rendered::SCRIPT;
        for newer in ["=>", "`", "const ", "let ", "class ", "...", "async ", "for (var x of"] {
            assert!(!code.contains(newer), "{newer}");
        }
    }

    #[test]
    fn the_script_speaks_every_language() {
        let texts = texts(Appearance::plain());
        let langs: Vec<_> = texts.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(langs, ["de", "en", "es", "nl", "ru", "sv", "zh"]);
        for name in ["with", "or", "out", "again", "closed"] {
            let mut seen: Vec<&str> = langs.iter().map(|lang| texts[lang][name].as_str().unwrap()).collect();
            assert!(seen.iter().all(|text| !text.is_empty()), "{name}: {seen:?}");
            assert!(seen.iter().all(|text| text.contains("{title}") == (name == "with")), "{name}: {seen:?}");
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), langs.len(), "{name}: two languages have the same text: {seen:?}");
        }
        assert_eq!((&texts["zh"]["wecom"], &texts["sv"]["wecom"]), (&"企业微信".into(), &"WeCom".into()));
        assert!(script(Appearance::plain()).body.contains(&texts.to_string()));
    }

    #[test]
    fn a_companys_texts_colour_and_help_are_in_the_script() {
        let own = "button-sign-in-with = { $name }, please\nsession-over = Wait\u{2028}a moment\n";
        let mut choices = Choices { accent: Accent::parse("#8a1538").ok(), ..Choices::default() };
        choices.texts.add("en", own).unwrap();
        choices.help.set("", Some("Ask <IT>".into()));
        choices.help.set("zh", Some("请联系 IT".into()));
        choices.help_link.set("zh", Some("tel:114".into()));
        let look = Appearance::new(choices);
        let texts = texts(&look);
        assert_eq!(texts["en"]["with"], "{title}, please");
        assert_eq!((&texts["en"]["help"], &texts["en"]["link"]), (&"Ask <IT>".into(), &json!(null)));
        assert_eq!((&texts["zh"]["help"], &texts["zh"]["link"]), (&"请联系 IT".into(), &"tel:114".into()));
        let plain = script(Appearance::plain());
        assert_eq!(texts["de"]["out"], super::texts(Appearance::plain())["de"]["out"], "the others stay");
        let script = script(&look);
        assert!(script.body.contains("var ACCENT = '#8a1538';"), "{}", script.body);
        assert!(script.body.contains("Wait\\u2028a moment") && !script.body.contains('\u{2028}'));
        // Browsers keep the script by its version.
        assert_ne!(script.version, plain.version);
        assert!(plain.body.contains(ACCENT));
    }

    #[test]
    fn the_script_reads_every_attribute_that_it_is_given() {
        let script = script(Appearance::plain());
        for (name, value) in script_attributes("wcg_x", "main", true, "7", true, Some("/ client a=1")) {
            // The script handles both deliveries alike; this attribute is for people who inspect the page.
            let read = script.body.contains(&format!("'{name}'"));
            assert!((read || name == "data-delivery") && !value.is_empty(), "{name}");
        }
        assert_eq!(script.src, format!("/wecom-gate/gate.js?v={}", script.version));
    }
}
