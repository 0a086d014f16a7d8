//! The texts of `wecom-gate check` in the languages of the console: a file in gettext's format (PO) for each language but English,
//! with the English sentence (`msgid`) and its translation (`msgstr`), each on one line. `tests/translations.rs` compares them
//! with the sentences in the sources.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::lang::Lang;
use crate::message::Message;

const FILES: [(&str, &str); 6] = [
    ("de", include_str!("messages/de.po")),
    ("es", include_str!("messages/es.po")),
    ("nl", include_str!("messages/nl.po")),
    ("ru", include_str!("messages/ru.po")),
    ("sv", include_str!("messages/sv.po")),
    ("zh", include_str!("messages/zh.po")),
];

/// Translations by the English sentence.
type Catalog = HashMap<String, String>;

/// By language.
static CATALOGS: LazyLock<HashMap<&str, Catalog>> =
    LazyLock::new(|| FILES.into_iter().map(|(lang, file)| (lang, read(file))).collect());

/// In the language of the page; a sentence that its catalog lacks stays English.
pub(super) fn translated(message: &Message, lang: Lang) -> String {
    let catalog = CATALOGS.get(lang.tag().as_str());
    message.translated(&|english| {
        catalog.and_then(|catalog| catalog.get(english)).map_or(english, String::as_str)
    })
}

/// The pairs of `msgid` and `msgstr`; an empty one is a missing one. The quoted texts are read as JSON, which has the same
/// escapes.
fn read(file: &str) -> Catalog {
    let quoted = |line: &str, keyword| serde_json::from_str::<String>(line.strip_prefix(keyword)?).ok();
    let lines = file.lines().zip(file.lines().skip(1));
    lines
        .filter_map(|(line, next)| Some((quoted(line, "msgid ")?, quoted(next, "msgstr ")?)))
        .filter(|(_, translation)| !translation.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::message;

    #[test]
    fn pairs_are_read() {
        let file = "# x\nmsgid \"\"\nmsgstr \"Language: de\\n\"\n\n#. about\nmsgid \"\\\"a\\\" {b}\"\nmsgstr \"„a“ {b}\"\n\
                    msgid \"alone\"\n\nmsgstr \"alone\"\nmsgid broken\nmsgstr \"x\"\n\
                    msgid \"later\"\nmsgstr \"\"\n";
        let catalog = read(file);
        assert_eq!(catalog.len(), 2, "{catalog:?}");
        assert_eq!(catalog.get("\"a\" {b}").map(String::as_str), Some("„a“ {b}"));
    }

    #[test]
    fn every_language_but_english_has_a_catalog() {
        for lang in Lang::all() {
            let english = lang == Lang::default();
            assert_eq!(CATALOGS.contains_key(lang.tag().as_str()), !english, "{}", lang.tag());
            let shown = translated(&message!("check again"), lang);
            assert_eq!(shown == "check again", english, "{}: {shown}", lang.tag());
        }
    }
}
