//! Links, paths, line lengths and words of all Markdown files.

use std::fs;
use std::path::PathBuf;

use crate::{files, markdown, prose, root, text};

/// The anchor that GitHub generates from a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn links_lead_somewhere() {
    for file in markdown() {
        let text = prose(&fs::read_to_string(&file).unwrap());
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let images = text.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next());
        for link in links.chain(images) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            assert!(target.exists(), "{}: {link} leads nowhere", file.display());
            if !fragment.is_empty() {
                let there = prose(&fs::read_to_string(&target).unwrap());
                let found = there
                    .lines()
                    .filter(|l| l.starts_with('#'))
                    .any(|l| anchor(l.trim_start_matches('#')) == fragment);
                assert!(found, "{}: {link} leads to no heading", file.display());
            }
        }
    }
}

/// Lines of tables cannot be broken; all others can.
#[test]
fn lines_of_markdown_stay_below_160_characters() {
    let mut long = Vec::new();
    for file in markdown() {
        let text = fs::read_to_string(&file).unwrap();
        for (line, number) in text.lines().zip(1..) {
            if !line.starts_with('|') && line.chars().count() >= 160 {
                long.push(format!("{}:{number}", file.display()));
            }
        }
    }
    assert!(long.is_empty(), "break these lines: {long:#?}");
}

/// Phrases that only this project used, and that slow every reader down.
const PHRASES: [&str; 20] = [
    "whoever",
    "worthless",
    "is well",
    "are well.",
    "nobody's",
    "of NocoBase's.",
    "of WeCom's.",
    " anew",
    "goes on by itself",
    "round in circles",
    "WeCom says",
    "NocoBase says",
    "the gate says",
    "configuration says",
    "in vain",
    "all the same",
    "to the letter",
    "without a word",
    "showing people out",
    "goes round",
];

#[test]
fn documents_and_sources_use_the_fields_words() {
    let mut all = markdown();
    for folder in ["src", "sim", "demo", "tests", "benches"] {
        for ending in [".rs", ".mjs", ".js"] {
            files(&root().join(folder), ending, &mut all);
        }
    }
    all.retain(|path| !path.ends_with(file!()));
    assert!(all.len() > 300, "only {} files found", all.len());
    let mut wrong = Vec::new();
    for file in all {
        let text = fs::read_to_string(&file).unwrap();
        for (line, number) in text.lines().zip(1..) {
            let line = line.to_lowercase();
            let found = PHRASES.iter().filter(|p| line.contains(&p.to_lowercase()));
            wrong.extend(found.map(|p| format!("{}:{number}: {p}", file.display())));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// In the two documents that walk through the code, paths may begin below `src` or below `src/proxy`.
#[test]
fn paths_in_the_documents_exist() {
    for file in ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/threat-model.md"] {
        let text = prose(&text(file));
        for code in text.split('`').skip(1).step_by(2).filter(|c| !c.contains(['*', ' ', '<', '=', ':'])) {
            let first = code.split('/').next().unwrap();
            // Not in git: results of fuzzing.
            if code.starts_with("fuzz/corpus") || code.starts_with("fuzz/artifacts") {
                continue;
            }
            let named = ["src", "sim", "demo", "tests", "docs", "conf", "benches", "certs", "fuzz", ".ci"];
            let folders = if named.contains(&first) && code.contains('/') {
                vec![root().to_owned()]
            } else if code.ends_with(".rs") || code.ends_with('/') && !code.starts_with('/') {
                vec![root().join("src"), root().join("src/proxy")]
            } else {
                continue;
            };
            let is_there = |folder: &PathBuf| folder.join(code).exists();
            assert!(folders.iter().any(is_there), "{file}: {code} is not there");
        }
    }
}
