//! Languages of the pages: the texts, and the choice of a language for a person.
//!
//! A language is a folder of `texts/`; nothing else has to change to add one.

use std::borrow::Cow;
use std::collections::HashMap;

use fluent_langneg::{NegotiationStrategy, negotiate_languages};
use fluent_templates::fluent_bundle::FluentValue;
use fluent_templates::{Loader, static_loader};
use unic_langid::LanguageIdentifier;

static_loader! {
    static TEXTS = {
        locales: "./src/pages/texts",
        fallback_language: "en",
        // Without the invisible isolation marks that Fluent puts around arguments: old webviews draw them as boxes.
        customise: |bundle| { bundle.set_use_isolating(false) },
    };
}

/// A language that the pages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lang(&'static LanguageIdentifier);

impl Lang {
    /// All of them, by name.
    pub fn all() -> Vec<Lang> {
        let mut all: Vec<Lang> = TEXTS.locales().map(Lang).collect();
        all.sort_by_key(|l| l.tag());
        all
    }

    /// BCP 47 tag, for `lang="..."` and `Content-Language`.
    pub fn tag(self) -> String {
        self.0.to_string()
    }

    /// The text with this key (`message` or `message.attribute`), if there is one.
    pub(super) fn find(self, key: &str) -> Option<String> {
        self.find_with_arguments(key, &arguments(None))
    }

    /// The same with any arguments.
    pub(super) fn find_with_arguments(self, key: &str, arguments: &Arguments<'_>) -> Option<String> {
        TEXTS.try_lookup_with_args(self.0, key, arguments)
    }

    /// Is there a text with this key?
    pub(super) fn has(self, key: &str) -> bool {
        let mut arguments = arguments(None);
        arguments.extend(named(""));
        self.find_with_arguments(key, &arguments).is_some()
    }

    /// The text with this key; falls back to the key if it is missing, which a test rules out.
    pub(super) fn text(self, key: &str) -> String {
        self.find(key).unwrap_or_else(|| key.to_owned())
    }

    /// The same with one argument, `$name`.
    pub(super) fn text_with_name(self, key: &str, name: &str) -> String {
        self.find_with_arguments(key, &named(name)).unwrap_or_else(|| name.to_owned())
    }

    /// The best of our languages for these, given in order of preference; `None` if none fits.
    fn best(wanted: &[LanguageIdentifier]) -> Option<Lang> {
        let ours: Vec<&'static LanguageIdentifier> = TEXTS.locales().collect();
        let found = negotiate_languages(wanted, &ours, None, NegotiationStrategy::Lookup);
        found.first().map(|l| Lang(l))
    }
}

/// WeCom's name, which differs in Chinese.
pub(super) const WECOM: &str = "wecom-name";

/// Arguments of a text, by name.
pub(super) type Arguments<'a> = HashMap<Cow<'static, str>, FluentValue<'a>>;

/// The argument `$name`.
pub(super) fn named(name: &str) -> Arguments<'_> {
    HashMap::from([(Cow::Borrowed("name"), name.into())])
}

/// Arguments for the texts of all pages: `$app`, and `$named`, which is `yes` if the app's name is known.
pub(super) fn arguments(app: Option<&str>) -> Arguments<'_> {
    let named = if app.is_some() { "yes" } else { "no" };
    HashMap::from([("app".into(), app.unwrap_or_default().into()), ("named".into(), named.into())])
}

impl Default for Lang {
    fn default() -> Self {
        Lang(TEXTS.fallback())
    }
}

/// Constants for the keys of texts, and a list `ALL` of them, which a test compares with the texts.
macro_rules! text_keys {
    ($($name:ident = $key:literal),+ $(,)?) => {
        $(pub(crate) const $name: &str = $key;)+
        /// All keys, to be compared with the texts.
        #[cfg(test)]
        pub(crate) const ALL: &[&str] = &[$($key),+];
    };
}
pub(super) use text_keys;

/// Most languages of a header that are considered.
const MAX_WANTED: usize = 16;

/// The language for a person: the one chosen in NocoBase (`X-Locale` of its calls, otherwise the copy of `NOCOBASE_LOCALE` that
/// `gate.js` keeps in a cookie), otherwise that of the WeCom client, otherwise the browser's preference (RFC 9110, 12.5.4),
/// otherwise English.
pub fn language(
    accept_language: Option<&str>,
    wecom_hint: Option<&str>,
    nocobase_locale: Option<&str>,
) -> Lang {
    let one = |tag: Option<&str>| Lang::best(&[tag?.trim().parse().ok()?]);
    one(nocobase_locale)
        .or_else(|| one(wecom_hint))
        .or_else(|| Lang::best(&accepted(accept_language?)))
        .unwrap_or_default()
}

/// Parses `Accept-Language`, best first. Not with the crate for it, which sorts by raw floats and can panic on `q=NaN`.
fn accepted(header: &str) -> Vec<LanguageIdentifier> {
    let mut all: Vec<(u16, LanguageIdentifier)> =
        header.split(',').take(MAX_WANTED).filter_map(accepted_item).collect();
    all.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    all.into_iter().map(|(_, language)| language).collect()
}

/// One item such as `zh-CN;q=0.9`: its weight in thousandths, and the language; `None` if it is not acceptable (`q=0`) or
/// invalid.
fn accepted_item(item: &str) -> Option<(u16, LanguageIdentifier)> {
    let mut parts = item.split(';').map(str::trim);
    let language = parts.next()?.parse().ok()?;
    let weight = match parts.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q="))) {
        None => 1000,
        Some(q) => {
            let q: f32 = q.trim().parse().ok()?;
            if !(q > 0.0 && q <= 1.0) {
                return None;
            }
            (q * 1000.0) as u16
        }
    };
    Some((weight, language))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn choose(accept: &str, hint: &str, locale: &str) -> String {
        let some = |s: &'static str| (!s.is_empty()).then_some(s);
        let leak = |s: &str| -> &'static str { Box::leak(s.to_owned().into_boxed_str()) };
        language(some(leak(accept)), some(leak(hint)), some(leak(locale))).tag()
    }

    #[test]
    fn chooses_the_language_of_the_person() {
        for (accept, hint, locale, want) in [
            ("", "", "", "en"),
            ("zh-CN,zh;q=0.9,en;q=0.8", "", "", "zh"),
            ("en-GB,en;q=0.9,zh;q=0.8", "", "", "en"),
            ("en;q=0.2, zh-TW;q=0.7", "", "", "zh"),
            ("fr;q=1.0, zh;q=0, en;q=0.1", "", "", "en"),
            ("fr-FR,ja;q=0.5", "", "", "en"),
            ("zh;q=NaN,en;q=0.3", "", "", "en"),
            ("*", "", "", "en"),
            ("en-US", "zh", "", "zh"),
            ("zh-CN", "en", "", "en"),
            ("zh-CN", "zh_CN", "", "zh"),
            ("zh-CN", "ja", "", "zh"),
            ("en", "en", "zh-CN", "zh"),
            ("zh", "zh", "en-US", "en"),
            ("zh", "", "xx", "zh"),
            ("de-AT,de;q=0.9,en;q=0.8", "", "", "de"),
            ("fr, nl-BE;q=0.6, en;q=0.5", "", "", "nl"),
            ("sv-FI", "", "", "sv"),
            ("en", "", "es-ES", "es"),
            ("ru-RU", "", "", "ru"),
            ("en", "zh", "de-DE", "de"),
            (",;,q=;;;", "///", "\u{0}", "en"),
        ] {
            assert_eq!(choose(accept, hint, locale), want, "{accept:?} {hint:?} {locale:?}");
        }
    }

    proptest! {
        #[test]
        fn any_header_gives_a_language(a in any::<String>(), b in any::<String>(), c in any::<String>()) {
            let tag = language(Some(&a), Some(&b), Some(&c)).tag();
            prop_assert!(Lang::all().iter().any(|l| l.tag() == tag));
        }
        #[test]
        fn any_weights_are_sorted_without_panic(w in proptest::collection::vec("[a-z]{2};q=[0-9a-zA-Z.-]{0,6}", 0..64)) {
            language(Some(&w.join(",")), None, None);
        }
    }
}
