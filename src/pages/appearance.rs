//! A company's customisation of the pages: name, picture and colour, whom to ask, and texts.
//!
//! Created once from the configuration, so that errors are found there and not when a page is shown.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use base64::Engine as _;

use super::accent::Accent;
use super::lang::{Arguments, Lang, arguments, named};
use super::own_texts::OwnTexts;
use super::rendered::{self, STYLE};
use super::script_file::Script;

/// One text for all languages, or one per language.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PerLanguage {
    /// By BCP 47 tag, as in [`Lang::tag`].
    pub by_language: BTreeMap<String, String>,
    /// For all other languages.
    pub others: Option<String>,
}

impl PerLanguage {
    /// Sets the text of a language (`""`: of all others). Returns whether there was one.
    pub(crate) fn set(&mut self, language: &str, text: Option<String>) -> bool {
        match (language, text) {
            (_, None) => false,
            ("", Some(text)) => self.others.replace(text).is_some(),
            (language, Some(text)) => self.by_language.insert(language.to_owned(), text).is_some(),
        }
    }

    fn get(&self, lang: Lang) -> Option<&str> {
        self.by_language.get(&lang.tag()).or(self.others.as_ref()).map(String::as_str)
    }
}

/// Image formats that every browser shows.
const PICTURES: [(&[u8], &str); 5] = [
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"<svg", "image/svg+xml"),
    (b"<?xml", "image/svg+xml"),
];

/// An image embedded in a page: nothing has to be fetched, and scripts in it do not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture(String);

impl Picture {
    /// From the bytes of a PNG, JPEG, GIF, WebP or SVG file; `None` if it is none of these.
    pub(crate) fn new(bytes: &[u8]) -> Option<Picture> {
        let kind = PICTURES.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, kind)| *kind);
        let webp = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
        let kind = kind.or(webp.then_some("image/webp"))?;
        Some(Picture(format!(
            "data:{kind};base64,{}",
            base64::engine::general_purpose::STANDARD.encode(bytes)
        )))
    }

    /// Value of `src`.
    pub(super) fn source(&self) -> &str {
        &self.0
    }
}

/// The settings of the configuration.
#[derive(Debug, Default)]
pub(crate) struct Choices {
    /// Name of the company or the app.
    pub title: Option<String>,
    /// Its picture.
    pub logo: Option<Picture>,
    /// The colour of buttons.
    pub accent: Option<Accent>,
    /// Whom to ask.
    pub help: PerLanguage,
    /// The link of that text.
    pub help_link: PerLanguage,
    /// Texts that replace the gate's own.
    pub texts: OwnTexts,
}

/// The appearance of the pages.
#[derive(Debug)]
pub(crate) struct Appearance {
    choices: Choices,
    style: String,
    csp: String,
    framed_csp: String,
    script: OnceLock<Script>,
}

/// Without any customisation.
static PLAIN: LazyLock<Appearance> = LazyLock::new(|| Appearance::new(Choices::default()));

impl Appearance {
    /// With these settings.
    pub(crate) fn new(choices: Choices) -> Appearance {
        let mut style = STYLE.to_owned();
        if let Some(accent) = &choices.accent {
            style.push_str(&accent.style());
        }
        let (csp, framed_csp) = (rendered::csp(&style, "'self'"), rendered::csp(&style, "*"));
        Appearance { choices, style, csp, framed_csp, script: OnceLock::new() }
    }

    /// The gate's own, used without a configuration.
    pub(crate) fn plain() -> &'static Appearance {
        &PLAIN
    }

    /// The configured name.
    pub(crate) fn title(&self) -> Option<&str> {
        self.choices.title.as_deref()
    }

    /// The colour of buttons, if one is configured.
    pub(super) fn accent(&self) -> Option<Accent> {
        self.choices.accent
    }

    /// The script for NocoBase's pages, which `make` makes once.
    pub(super) fn script(&self, make: impl FnOnce() -> Script) -> &Script {
        self.script.get_or_init(make)
    }

    /// The picture, ready for `src`.
    pub(super) fn logo(&self) -> Option<&str> {
        self.choices.logo.as_ref().map(Picture::source)
    }

    pub(super) fn style(&self) -> &str {
        &self.style
    }

    pub(super) fn csp(&self, framed: bool) -> &str {
        if framed { &self.framed_csp } else { &self.csp }
    }

    /// Whom to ask, and the link of that text.
    pub(super) fn help(&self, lang: Lang) -> Option<(&str, Option<&str>)> {
        Some((self.choices.help.get(lang)?, self.choices.help_link.get(lang)))
    }

    /// The text with this key (`message` or `message.attribute`), if there is one. `app`: the name of the app.
    pub(super) fn find(&self, lang: Lang, key: &str, app: Option<&str>) -> Option<String> {
        self.find_with(lang, key, &arguments(app))
    }

    fn find_with(&self, lang: Lang, key: &str, arguments: &Arguments<'_>) -> Option<String> {
        let own = self.choices.texts.find(lang, key, arguments);
        own.or_else(|| lang.find_with_arguments(key, arguments))
    }

    /// The same; falls back to the key if the text is missing, which a test rules out.
    pub(super) fn text(&self, lang: Lang, key: &str) -> String {
        self.find(lang, key, None).unwrap_or_else(|| key.to_owned())
    }

    /// The same with one argument, `$name`.
    pub(super) fn text_with_name(&self, lang: Lang, key: &str, name: &str) -> String {
        self.find_with(lang, key, &named(name)).unwrap_or_else(|| name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_known_by_their_bytes() {
        for (bytes, kind) in [
            (&b"\x89PNG\r\n\x1a\n..."[..], "image/png"),
            (b"\xff\xd8\xff\xe0", "image/jpeg"),
            (b"GIF89a", "image/gif"),
            (b"RIFF\x01\x02\x03\x04WEBPVP8 ", "image/webp"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
            (b"<?xml version='1.0'?><svg/>", "image/svg+xml"),
        ] {
            assert!(Picture::new(bytes).unwrap().0.starts_with(&format!("data:{kind};base64,")), "{kind}");
        }
        for bytes in [&b""[..], b"<html>", b"RIFF", b"RIFF\x01\x02\x03\x04WAVE", b"\xef\xbb\xbf", b"text"] {
            assert_eq!(Picture::new(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_language_without_a_text_of_its_own_gets_the_others() {
        let chinese = crate::pages::language(Some("zh"), None, None);
        let mut help = PerLanguage { others: Some("Ask IT".into()), ..PerLanguage::default() };
        assert_eq!(help.get(chinese), Some("Ask IT"));
        help.by_language.insert("zh".into(), "请联系 IT".into());
        assert_eq!((help.get(chinese), help.get(Lang::default())), (Some("请联系 IT"), Some("Ask IT")));
    }
}
