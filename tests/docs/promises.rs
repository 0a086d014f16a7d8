//! Requirements and promises name their defences and their tests.

use std::fs;
use std::path::PathBuf;

use crate::{files, root, text};

/// Numbers are never reused: a requirement without tests is not checked.
#[test]
fn every_security_requirement_has_a_defence_and_tests() {
    let model = text("docs/threat-model.md");
    let rows: Vec<Vec<&str>> = model
        .lines()
        .filter(|l| l.strip_prefix("| R").is_some_and(|l| l.starts_with(|c: char| c.is_ascii_digit())))
        .map(|l| l.split('|').map(str::trim).collect())
        .collect();
    let numbers: Vec<u32> = rows.iter().map(|row| row[1][1..].parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b) && (1..=44).all(|n| numbers.contains(&n)), "{numbers:?}");
    let paths =
        |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    for row in rows {
        let [defended, tests] = [paths(row[3]), paths(row[4])];
        assert!(!defended.is_empty() && !tests.is_empty(), "{row:?}");
        for path in defended {
            assert!(root().join(&path).exists(), "{}: {path} is not there", row[1]);
        }
        let name = format!("fn r{:0>2}_", &row[1][1..]);
        for path in tests {
            assert!(text(&path).contains(&name), "{}: {path} has no test {name}", row[1]);
        }
    }
}

/// Every promise names tests that exist and a paragraph that exists, and no defence is without a promise.
#[test]
fn every_promise_names_tests_that_exist() {
    let (mut rust, mut scripts) = (Vec::new(), Vec::new());
    for folder in ["src", "tests"] {
        files(&root().join(folder), ".rs", &mut rust);
    }
    files(&root().join("tests"), ".mjs", &mut scripts);
    let read = |paths: Vec<PathBuf>| -> String {
        paths.iter().map(|p| fs::read_to_string(p).unwrap()).collect::<Vec<_>>().join("\n")
    };
    let (rust, scripts) = (read(rust), read(scripts));
    let exists = |test: &str| {
        let is_function = test.contains('_') && test.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_function {
            return rust.contains(&format!("fn {test}("));
        }
        ["test", "describe"]
            .iter()
            .any(|f| ["'", "`"].iter().any(|q| scripts.contains(&format!("{f}({q}{test}{q}"))))
    };
    let documents = [("T", text("docs/threat-model.md")), ("H", text("docs/how-it-works.md"))];
    let promises = text("docs/promises.md");
    let rows: Vec<Vec<&str>> = promises
        .lines()
        .filter(|l| l.starts_with("| ") && !l.starts_with("| Promise"))
        .map(|l| l.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    assert!(rows.len() > 80, "{} rows", rows.len());
    let mut wrong = Vec::new();
    for row in &rows {
        let [promise, place, tests] = row[..] else { panic!("{row:?}") };
        let (document, paragraph) = place.split_once(": ").unwrap_or_else(|| panic!("{row:?}"));
        let (_, content) =
            documents.iter().find(|(d, _)| *d == document).unwrap_or_else(|| panic!("{row:?}"));
        if !content.contains(&format!("**{paragraph}")) && !content.contains(&format!("# {paragraph}\n")) {
            wrong.push(format!("{promise}: no paragraph {place}"));
        }
        let tests: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        if tests.is_empty() {
            wrong.push(format!("{promise}: no test"));
        }
        wrong.extend(tests.iter().filter(|t| !exists(t)).map(|t| format!("{promise}: no test {t}")));
    }
    let defences =
        documents[0].1.split("\n## What is defended").nth(1).unwrap().split("\n## ").next().unwrap();
    for name in defences.lines().filter_map(|l| l.strip_prefix("**")).filter_map(|l| l.split("**").next()) {
        let name = name.trim_end_matches(['.', ',']);
        if !rows.iter().any(|row| row[1].strip_prefix("T: ") == Some(name)) {
            wrong.push(format!("{name}: a defence without a promise"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
