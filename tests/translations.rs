//! The Chinese documents have the same content as the English ones: headings, labels, commands, configuration, titles of pages.
//! The catalogs of the console have exactly the sentences of the sources.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// English, Chinese.
const PAIRS: [(&str, &str); 5] = [
    ("README.md", "README.zh-CN.md"),
    ("docs/install.md", "docs/zh/install.md"),
    ("docs/wecom-console.md", "docs/zh/wecom-console.md"),
    ("docs/troubleshooting.md", "docs/zh/troubleshooting.md"),
    ("docs/faq.md", "docs/zh/faq.md"),
];

fn text(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// A document without its fenced blocks, and the blocks.
fn parts(text: &str) -> (String, Vec<String>) {
    let (mut prose, mut blocks) = (String::new(), Vec::new());
    for (number, part) in text.split("\n```").enumerate() {
        if number % 2 == 0 {
            prose.push_str(part);
            prose.push('\n');
        } else {
            blocks.push(part.to_owned());
        }
    }
    (prose, blocks)
}

/// The part of a line that is not a comment: comments may be in either language.
fn without_comment(line: &str) -> String {
    let code = if line.trim_start().starts_with('#') { "" } else { line };
    code.split("  #").next().unwrap().trim_end().to_owned()
}

/// Level of each heading, and its language-independent parts: numbers, code.
fn headings(prose: &str) -> Vec<(usize, String)> {
    let lines = prose.lines().filter(|l| l.starts_with('#'));
    lines
        .map(|line| {
            let (marks, title) = line.split_once(' ').unwrap();
            let number: String = title.chars().take_while(char::is_ascii_digit).collect();
            let code = title.split('`').nth(1).unwrap_or_default();
            (marks.len(), format!("{number}{code}"))
        })
        .collect()
}

/// Text between backticks, with line breaks as spaces.
fn codes(prose: &str) -> BTreeSet<String> {
    let words = |code: &str| code.split_whitespace().collect::<Vec<_>>().join(" ");
    prose.split('`').skip(1).step_by(2).map(words).collect()
}

/// Targets of links, without `../` and the folder of translations; fragments are headings, which differ.
fn targets(prose: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for link in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let path = link.split('#').next().unwrap();
        let path = path.trim_start_matches("../").trim_start_matches("docs/").trim_start_matches("zh/");
        // Each README links to the other.
        if !path.starts_with("README") {
            found.insert(path.to_owned());
        }
    }
    found
}

#[test]
fn chinese_documents_have_the_headings_and_commands_of_the_english_ones() {
    for (english, chinese) in PAIRS {
        let (prose_en, blocks_en) = parts(&text(english));
        let (prose_zh, blocks_zh) = parts(&text(chinese));
        assert_eq!(headings(&prose_en), headings(&prose_zh), "headings of {english} and {chinese}");
        let read = |blocks: Vec<String>| -> Vec<Vec<String>> {
            let code = blocks.into_iter().filter(|b| !b.starts_with("mermaid"));
            code.map(|b| b.lines().map(without_comment).filter(|l| !l.is_empty()).collect()).collect()
        };
        let (code_en, code_zh) = (read(blocks_en), read(blocks_zh));
        assert_eq!(code_en.len(), code_zh.len(), "number of fenced blocks in {english} and {chinese}");
        for (en, zh) in code_en.iter().zip(&code_zh) {
            assert_eq!(en, zh, "fenced block of {english} and {chinese}");
        }
        let bold = |prose: &str| prose.lines().filter(|l| l.starts_with("**")).count();
        assert_eq!(bold(&prose_en), bold(&prose_zh), "paragraphs with a title in {english} and {chinese}");
    }
}

/// A key, label, command or field that only one document names means that a sentence is missing in the other.
#[test]
fn chinese_documents_name_the_keys_labels_and_fields_of_the_english_ones() {
    for (english, chinese) in PAIRS {
        let (english_text, chinese_text) = (parts(&text(english)).0, parts(&text(chinese)).0);
        let (en, zh) = (codes(&english_text), codes(&chinese_text));
        let missing: Vec<_> = en.difference(&zh).collect();
        let more: Vec<_> = zh.difference(&en).collect();
        assert!(missing.is_empty() && more.is_empty(), "{chinese} lacks {missing:?} and adds {more:?}");
        let table = |prose: &str| prose.lines().filter(|l| l.starts_with('|')).count();
        assert_eq!(table(&english_text), table(&chinese_text), "rows of tables in {english} and {chinese}");
    }
}

#[test]
fn chinese_documents_link_to_what_the_english_ones_link_to() {
    for (english, chinese) in PAIRS {
        let (en, zh) = (targets(&parts(&text(english)).0), targets(&parts(&text(chinese)).0));
        assert_eq!(en, zh, "links of {english} and {chinese}");
    }
}

/// Values of `pages.ftl` without attributes: the titles of pages.
fn titles(language: &str, wecom: &str) -> Vec<String> {
    text(&format!("src/pages/texts/{language}/pages.ftl"))
        .lines()
        .filter(|l| l.starts_with(|c: char| c.is_ascii_lowercase()))
        .filter_map(|l| l.split_once(" = "))
        .map(|(_, title)| title.replace("{ -wecom }", wecom))
        .collect()
}

/// A reader must find a page under the words that it shows.
#[test]
fn troubleshooting_quotes_the_titles_of_pages() {
    let documents = [
        ("docs/troubleshooting.md", "en", "WeCom", "- **Seen:** \"", '"'),
        ("docs/zh/troubleshooting.md", "zh", "企业微信", "- **现象：** “", '”'),
    ];
    for (document, language, wecom, before, after) in documents {
        let titles = titles(language, wecom);
        let document_text = text(document);
        let quoted: Vec<&str> = document_text
            .lines()
            .filter_map(|l| l.strip_prefix(before))
            .map(|l| l.split(after).next().unwrap())
            .collect();
        assert!(quoted.len() > 40, "{document}: {} titles", quoted.len());
        for title in quoted {
            assert!(titles.iter().any(|t| t == title), "{document}: no page is titled {title:?}");
        }
    }
}

/// The sentences of the sources, each with the names of its placeholders: the first argument of `message!` and `template!`,
/// outside tests.
fn sentences() -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_stem().unwrap().to_str().unwrap();
            if path.is_dir() && name != "tests" {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && name != "tests" {
                let source = fs::read_to_string(&path).unwrap();
                let macros_alone =
                    !["Template::new", "Message::new"].iter().any(|word| source.contains(word));
                assert!(
                    macros_alone || name == "message",
                    "{} makes a sentence without a macro",
                    path.display()
                );
                let tokens: Vec<TokenTree> = source.parse::<TokenStream>().unwrap().into_iter().collect();
                collect(&tokens, &mut found);
            }
        }
    }
    found
}

fn collect(tokens: &[TokenTree], found: &mut BTreeMap<String, BTreeSet<String>>) {
    let is_word =
        |i: usize, words: &[&str]| tokens.get(i).is_some_and(|t| words.contains(&t.to_string().as_str()));
    for (i, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        let inner: Vec<TokenTree> = group.stream().into_iter().collect();
        // The module of a file's tests.
        if group.delimiter() == Delimiter::Brace
            && i >= 2
            && is_word(i - 2, &["mod"])
            && is_word(i - 1, &["tests"])
        {
            continue;
        }
        if i >= 2 && is_word(i - 2, &["message", "template"]) && is_word(i - 1, &["!"]) {
            sentence(&inner, found);
        }
        collect(&inner, found);
    }
}

/// Adds the sentence of one `message!`, and compares its placeholders with its arguments: the compiler would take a variable that
/// has the name of a placeholder.
fn sentence(tokens: &[TokenTree], found: &mut BTreeMap<String, BTreeSet<String>>) {
    let Some(TokenTree::Literal(literal)) = tokens.first() else { return };
    let sentence = unquoted(&literal.to_string());
    let after_comma = tokens.windows(2).filter(|pair| pair[0].to_string() == ",");
    let arguments: BTreeSet<String> = after_comma.map(|pair| pair[1].to_string()).collect();
    assert_eq!(
        placeholders(&sentence).into_iter().collect::<BTreeSet<_>>(),
        arguments,
        "arguments of {sentence:?}"
    );
    found.insert(sentence, arguments);
}

/// The value of a string literal with the escapes `\"`, `\\` and a line break.
fn unquoted(literal: &str) -> String {
    let mut rest = literal.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
    let mut value = String::new();
    while let Some((before, after)) = rest.split_once('\\') {
        value.push_str(before);
        rest = match after.strip_prefix('\n') {
            Some(next_line) => next_line.trim_start(),
            None => {
                let escaped = after.chars().next().filter(|c| matches!(c, '"' | '\\')).expect("an escape");
                value.push(escaped);
                &after[1..]
            }
        };
    }
    value + rest
}

/// Names between braces, in order of the alphabet; a brace without its partner counts, too.
fn placeholders(text: &str) -> Vec<String> {
    let mut names: Vec<String> = text
        .split('{')
        .skip(1)
        .map(|rest| rest.split_once('}').map_or(rest, |(name, _)| name).to_owned())
        .collect();
    names.extend(std::iter::repeat_n("}".to_owned(), text.matches('}').count().abs_diff(names.len())));
    names.sort();
    names
}

/// The pairs of a catalog: every line is a comment, empty, a `msgid`, or the `msgstr` below it.
fn catalog(language: &str) -> BTreeMap<String, String> {
    let path = format!("src/pages/messages/{language}.po");
    let mut pairs = BTreeMap::new();
    let mut english: Option<String> = None;
    for line in text(&path).lines() {
        let read = |keyword: &str| -> Option<String> {
            let quoted = line.strip_prefix(keyword)?;
            Some(serde_json::from_str(quoted).unwrap_or_else(|e| panic!("{path}: {e}: {line}")))
        };
        match (english.take(), read("msgid "), read("msgstr ")) {
            (None, Some(id), None) => english = Some(id),
            (Some(id), None, Some(translation)) => {
                assert!(pairs.insert(id, translation).is_none(), "{path}: twice, above {line}");
            }
            (None, None, None) if line.is_empty() || line.starts_with('#') => {}
            _ => panic!("{path}: {line}"),
        }
    }
    let header = pairs.remove("").unwrap_or_default();
    assert!(header.contains(&format!("Language: {language}\n")), "{path}: {header:?}");
    pairs
}

#[test]
fn every_sentence_of_the_check_has_a_translation_in_every_language() {
    let sentences = sentences();
    assert!(sentences.len() > 300, "only {} sentences found", sentences.len());
    for folder in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pages/texts")).unwrap() {
        let language = folder.unwrap().file_name().into_string().unwrap();
        if language == "en" {
            continue;
        }
        let catalog = catalog(&language);
        let missing: Vec<_> =
            sentences.keys().filter(|s| catalog.get(*s).is_none_or(String::is_empty)).collect();
        let unused: Vec<_> = catalog.keys().filter(|s| !sentences.contains_key(*s)).collect();
        assert!(
            missing.is_empty() && unused.is_empty(),
            "{language} lacks {missing:#?} and has unused {unused:#?}"
        );
        for (english, translation) in &catalog {
            assert_eq!(
                placeholders(english),
                placeholders(translation),
                "{language}: {english} / {translation}"
            );
        }
    }
}
