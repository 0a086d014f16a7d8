//! What an administrator can do about a failure: the paragraph "Do" of its label in `docs/troubleshooting.md`, so that the
//! console and the document cannot differ.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::lang::Lang;
use crate::error::Failure;

const ENGLISH: (&str, &str) = (include_str!("../../docs/troubleshooting.md"), "- **Do:** ");
const CHINESE: (&str, &str) = (include_str!("../../docs/zh/troubleshooting.md"), "- **处理：** ");

/// By label.
type Remedies = HashMap<String, String>;

static REMEDIES: LazyLock<[Remedies; 2]> = LazyLock::new(|| [of(ENGLISH), of(CHINESE)]);

/// In Chinese for Chinese pages, otherwise in English, with the language of the text; `None` if the document has none.
pub(super) fn remedy(failure: Failure, lang: Lang) -> Option<(&'static str, &'static str)> {
    let [english, chinese] = &*REMEDIES;
    let label = failure.response().label;
    match lang.tag().as_str() {
        "zh" => Some((chinese.get(label)?, "zh")),
        _ => Some((english.get(label)?, "en")),
    }
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
    found.into_iter().map(|(label, text)| (label, plain(&text))).collect()
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
    fn every_failure_has_a_remedy_in_plain_words() {
        let chinese = crate::pages::language(Some("zh"), None, None);
        for lang in [Lang::default(), chinese] {
            for failure in Failure::ALL {
                let (text, tag) =
                    remedy(*failure, lang).unwrap_or_else(|| panic!("{failure} in {}", lang.tag()));
                assert_eq!(tag, lang.tag());
                assert!(text.chars().count() > 2, "{failure}: {text}");
                assert!(
                    !text.contains(['`', '\n']) && !text.contains("](") && !text.contains("**"),
                    "{failure}: {text}"
                );
            }
        }
        let german = crate::pages::language(Some("de"), None, None);
        assert_eq!(remedy(Failure::Internal, german), remedy(Failure::Internal, Lang::default()));
    }

    #[test]
    fn paragraphs_are_joined_and_links_become_their_text() {
        let document = "### `a`\n\n- **Seen:** x.\n- **Do:** Look at `b`\n  and [c](d.md#e), or\n  [f].\n- **More:** y\n  z\n### `g`\n\n- **Do:** h\n";
        let found = of((document, "- **Do:** "));
        assert_eq!(found.get("a").unwrap(), "Look at b and c, or [f].");
        assert_eq!(found.get("g").unwrap(), "h");
        assert_eq!(
            of(("### `a`\n- **处理：** 调到\n  两倍。\n", "- **处理：** ")).get("a").unwrap(),
            "调到两倍。"
        );
    }
}
