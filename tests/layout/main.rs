//! Which file of `src` uses which: dependencies between modules follow the table of `docs/architecture.md`, and no files form a
//! cycle.
//!
//! The sources are read as tokens, so comments and strings do not count. Tests are left out. A name that a module re-exports
//! counts as the file that defines it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod graph;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use graph::{arrows, cycles};
use sources::{Segments, sources};

/// The repository: from cargo's environment at run time, so that a built test can check another checkout.
fn root() -> PathBuf {
    std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned()).into()
}

#[test]
fn no_files_form_a_cycle() {
    let sources = sources();
    assert!(sources.len() > 100, "only {} files found", sources.len());
    let arrows = arrows(&sources);
    let mut report = String::new();
    let cycles = cycles(&arrows);
    for cycle in &cycles {
        writeln!(report, "\na cycle of {} files:", cycle.len()).unwrap();
        for module in cycle {
            for (to, path) in arrows[module].iter().filter(|(to, _)| cycle.contains(*to)) {
                writeln!(report, "  {} -> {} ({path})", sources[module].path, sources[to].path).unwrap();
            }
        }
    }
    assert!(cycles.is_empty(), "{} cycles{report}", cycles.len());
}

/// Rows of the table below the heading "Which module may import which": module, what it may import.
fn allowed() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let section = text.split("\n## Which module may import which\n").nth(1).expect("the heading is missing");
    let section = section.split("\n## ").next().unwrap();
    let quoted =
        |cell: &str| -> BTreeSet<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let rows = section.lines().filter(|l| l.starts_with("| `"));
    rows.flat_map(|row| {
        let cells: Vec<&str> = row.split('|').collect();
        quoted(cells[1]).into_iter().map(move |module| (module, quoted(cells[2]))).collect::<Vec<_>>()
    })
    .collect()
}

#[test]
fn arrows_between_modules_are_those_of_the_table() {
    let sources = sources();
    let top = |module: &Segments| module.first().cloned().unwrap_or_else(|| "lib".to_owned());
    let mut there: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut examples = BTreeMap::new();
    for (module, used) in arrows(&sources) {
        let from = there.entry(top(&module)).or_default();
        for (to, path) in used.into_iter().filter(|(to, _)| top(to) != top(&module)) {
            from.insert(top(&to));
            examples.entry((top(&module), top(&to))).or_insert((sources[&module].path.clone(), path));
        }
    }
    there.remove("lib");
    let (allowed, mut wrong) = (allowed(), String::new());
    for gone in allowed.keys().filter(|module| !there.contains_key(*module)) {
        writeln!(wrong, "{gone} is in the table, and not in src").unwrap();
    }
    for (from, used) in &there {
        let Some(allowed) = allowed.get(from) else {
            writeln!(wrong, "{from} is not in the table; it imports {used:?}").unwrap();
            continue;
        };
        for to in used.difference(allowed) {
            let (file, path) = &examples[&(from.clone(), to.clone())];
            writeln!(wrong, "{from} must not import {to}: {file} uses {path}").unwrap();
        }
        for to in allowed.difference(used) {
            writeln!(wrong, "{from} does not import {to}, though the table allows it").unwrap();
        }
    }
    assert!(wrong.is_empty(), "docs/architecture.md, \"Which module may import which\":\n{wrong}");
}

/// What lies in the top folder of the repository: a file that someone left there would be published with it.
#[test]
fn only_known_files_lie_in_the_top_folder() {
    const KNOWN: [&str; 29] = [
        ".cargo",
        ".ci",
        ".dockerignore",
        ".github",
        ".gitignore",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Cargo.lock",
        "Cargo.toml",
        "Dockerfile",
        "LICENSE",
        "Makefile",
        "README.md",
        "README.zh-CN.md",
        "RELEASE.md",
        "SECURITY.md",
        "benches",
        "certs",
        "clippy.toml",
        "conf",
        "demo",
        "deny.toml",
        "docs",
        "fuzz",
        "proptest-regressions",
        "rustfmt.toml",
        "sim",
        "src",
        "tests",
    ];
    let git = std::process::Command::new("git")
        .arg("-C")
        .arg(root())
        .args(["ls-tree", "--name-only", "HEAD"])
        .output();
    // A source archive has no repository.
    let Some(listed) = git.ok().filter(|git| git.status.success()) else { return };
    let listed = String::from_utf8(listed.stdout).unwrap();
    let unknown: Vec<&str> = listed.lines().filter(|name| !KNOWN.contains(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
