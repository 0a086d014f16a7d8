//! The Chinese documents have the same content as the English ones: headings, labels, commands, configuration, titles of pages.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

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
