//! What an administrator can do about a failure: the paragraph "Do" of its label in `docs/troubleshooting.md` (English) and
//! `docs/zh/troubleshooting.md` (Chinese), so that the console and the documents cannot differ; and its translations, in files of
//! lines `label: text`.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::lang::Lang;
use crate::error::Failure;

const ENGLISH: (&str, &str) = (include_str!("../../docs/troubleshooting.md"), "- **Do:** ");
const CHINESE: (&str, &str) = (include_str!("../../docs/zh/troubleshooting.md"), "- **处理：** ");
const TRANSLATIONS: [(&str, &str); 5] = [
    ("de", include_str!("remedies/de.txt")),
    ("es", include_str!("remedies/es.txt")),
    ("nl", include_str!("remedies/nl.txt")),
    ("ru", include_str!("remedies/ru.txt")),
    ("sv", include_str!("remedies/sv.txt")),
];

/// By label; with Markdown's marks.
type Remedies = HashMap<String, String>;

/// By language.
static REMEDIES: LazyLock<HashMap<&str, Remedies>> = LazyLock::new(|| {
    let documents = [("en", of(ENGLISH)), ("zh", of(CHINESE))];
    documents.into_iter().chain(TRANSLATIONS.map(|(lang, file)| (lang, lines(file)))).collect()
});

/// In the language of the page; `None` if there is none.
pub(super) fn remedy(failure: Failure, lang: Lang) -> Option<String> {
    let remedies = REMEDIES.get(lang.tag().as_str()).or_else(|| REMEDIES.get("en"))?;
    remedies.get(failure.response().label).map(|text| plain(text))
}

/// The lines `label: text` of a file.
fn lines(file: &str) -> Remedies {
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(": ")).map(|(l, text)| (l.to_owned(), text.to_owned())).collect()
}

fn of((document, mark): (&str, &str)) -> Remedies {
    let mut found = Remedies::new();
    let (mut label, mut inside) = (None, false);
    for line in document.lines() {
        if let Some(heading) = line.strip_prefix("### `") {
            label = heading.strip_suffix('`');
        }
        let text = match line.strip_prefix(mark) {
            Some(text) => Some(text),
            // Continuation lines of the list item.
            None => line.strip_prefix("  ").filter(|_| inside),
        };
        inside = text.is_some();
        if let (Some(label), Some(text)) = (label, text) {
            let remedy = found.entry(label.to_owned()).or_default();
            // Chinese has no space at a line break.
            if remedy.ends_with(|c: char| c.is_ascii())
                || text.starts_with(|c: char| c.is_ascii()) && !remedy.is_empty()
            {
                remedy.push(' ');
            }
            remedy.push_str(text.trim());
        }
    }
    found
}

/// Removes Markdown: `[text](address)` becomes its text, and other marks are dropped.
fn plain(markdown: &str) -> String {
    let mut text = String::with_capacity(markdown.len());
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once('[') {
        text.push_str(before);
        match after.split_once("](").and_then(|(words, after)| Some((words, after.split_once(')')?.1))) {
            Some((words, after)) => {
                text.push_str(words);
                rest = after;
            }
            None => {
                text.push('[');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text.replace(['`'], "").replace("**", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_a_remedy_in_plain_words_in_every_language() {
        for lang in Lang::all() {
            for failure in Failure::ALL {
                let text = remedy(*failure, lang).unwrap_or_else(|| panic!("{failure} in {}", lang.tag()));
                assert!(text.chars().count() > 2, "{failure}: {text}");
                assert!(
                    !text.contains(['`', '\n']) && !text.contains("](") && !text.contains("**"),
                    "{failure}: {text}"
                );
                let english = remedy(*failure, Lang::default()).unwrap();
                assert!(lang == Lang::default() || text != english, "{failure} in {}", lang.tag());
            }
        }
    }

    /// A key, field or command that only one language names: the others have not followed.
    #[test]
    fn translations_name_the_keys_and_commands_of_the_english_text() {
        let labels = Failure::ALL.iter().map(|failure| failure.response().label);
        let known: std::collections::BTreeSet<&str> = labels.collect();
        let codes = |text: &str| {
            let mut codes: Vec<String> = text.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            codes.sort();
            codes.dedup();
            codes
        };
        for (lang, remedies) in &*REMEDIES {
            for label in &known {
                assert_eq!(codes(&remedies[*label]), codes(&REMEDIES["en"][*label]), "{label} in {lang}");
            }
        }
        for (lang, file) in TRANSLATIONS {
            let of_file: Vec<&str> = file.lines().skip(1).map(|l| l.split(": ").next().unwrap()).collect();
            assert_eq!(of_file.len(), known.len(), "{lang}: each once");
            assert!(of_file.iter().all(|label| known.contains(label)), "{lang}: {of_file:?}");
        }
    }

    #[test]
    fn paragraphs_are_joined_and_links_become_their_text() {
        let document = "### `a`\n\n- **Seen:** x.\n- **Do:** Look at `b`\n  and [c](d.md#e), or\n  [f].\n- **More:** y\n  z\n### `g`\n\n- **Do:** h\n";
        let found = of((document, "- **Do:** "));
        assert_eq!(plain(found.get("a").unwrap()), "Look at b and c, or [f].");
        assert_eq!(found.get("g").unwrap(), "h");
        assert_eq!(
            of(("### `a`\n- **处理：** 调到\n  两倍。\n", "- **处理：** ")).get("a").unwrap(),
            "调到两倍。"
        );
    }
}
