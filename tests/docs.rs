//! The documentation says what is there: labels, events, fields, dependencies, links, commands, paths.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use wecom_gate::check;
use wecom_gate::config;
use wecom_gate::error::Failure;
use wecom_gate::metrics::Metrics;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Files below `folder` with this ending; what is built or fetched is left out.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && !path.is_symlink() {
            if !name.starts_with('.') && name != "target" && name != "node_modules" {
                files(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

fn markdown() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(root(), ".md", &mut found);
    // A part of docs/configuration.md: its links are right from there.
    found.retain(|f| !f.ends_with("src/config/reference_intro.md"));
    assert!(found.len() > 8, "{found:?}");
    found
}

/// What stands between backticks in the first cells of tables.
fn first_cells(text: &str) -> BTreeSet<String> {
    let cells = text.lines().filter(|l| l.starts_with("| `")).filter_map(|l| l.split('|').nth(1));
    cells.flat_map(|c| c.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn troubleshooting_has_an_entry_for_every_label_and_none_besides() {
    let text = text("docs/troubleshooting.md");
    let labels: BTreeSet<&str> = Failure::ALL.iter().map(|f| f.response().label).collect();
    let entries: Vec<(&str, &str)> = text
        .split("\n### `")
        .skip(1)
        .map(|e| e.split_once('`').unwrap())
        .map(|(label, rest)| (label, rest.split("\n## ").next().unwrap()))
        .collect();
    let described: BTreeSet<&str> = entries.iter().map(|(label, _)| *label).collect();
    assert_eq!(labels, described);
    assert_eq!(entries.len(), described.len(), "a label has two entries");
    for (label, entry) in entries {
        for part in ["- **Seen:**", "- **Means:**", "- **Do:**"] {
            assert_eq!(entry.matches(part).count(), 1, "{label}: {part}");
        }
    }
}

#[test]
fn check_has_a_description_of_every_step_in_order() {
    let text = text("docs/check.md");
    let entries: Vec<(&str, &str)> =
        text.split("\n### `").skip(1).map(|e| e.split_once('`').unwrap()).collect();
    let described: Vec<&str> = entries.iter().map(|(name, _)| *name).collect();
    assert_eq!(described, check::Id::ALL.map(check::Id::name));
    for (name, entry) in entries {
        for part in ["- **Looks at:**", "- **Do:**"] {
            assert_eq!(entry.matches(part).count(), 1, "{name}: {part}");
        }
    }
    // The example of the JSON has the fields of the real thing.
    let example: serde_json::Value =
        serde_json::from_str(text.split("```json\n").nth(1).unwrap().split("```").next().unwrap()).unwrap();
    let step = check::Step::new(
        check::Id::WecomTrustedIp,
        Some("wecom"),
        check::Verdict::failed("a", "b", "c").with_detail("d"),
    );
    let keys = |v: &serde_json::Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let report = serde_json::to_value(check::Report::new(vec![step], None)).unwrap();
    assert_eq!(keys(&example), keys(&report));
    assert_eq!(keys(&example["steps"][0]), keys(&report["steps"][0]));
    assert_eq!(keys(&example["steps"][0]["findings"][0]), keys(&report["steps"][0]["findings"][0]));
}

/// `docs/check.md` shows a line for every step that `check` takes; the details of WeCom and NocoBase are examples.
#[test]
fn the_example_of_check_has_every_step() {
    let text = text("docs/check.md");
    let block = text.split("```text\n").find(|b| b.starts_with("ok      configuration")).expect("no output");
    let block = block.split("\n```").next().unwrap();
    let steps: Vec<&str> = block.lines().take_while(|l| !l.is_empty()).collect();
    let names: Vec<&str> = steps.iter().filter_map(|l| l.split_whitespace().nth(1)).collect();
    assert_eq!(names, check::Id::ALL.map(check::Id::name));
    for (outcome, line) in steps.iter().map(|l| (l.split(' ').next().unwrap(), l)) {
        assert!(["ok", "skipped"].contains(&outcome), "{line}");
    }
}

/// The `(fields, event)` of every `tracing` line in `src`.
fn lines_of_source() -> Vec<(BTreeSet<String>, Option<String>)> {
    let mut sources = Vec::new();
    files(&root().join("src"), ".rs", &mut sources);
    let mut lines = Vec::new();
    for path in sources {
        let path_text = path.strip_prefix(root()).unwrap().to_str().unwrap();
        if path_text.contains("tests") || path_text.ends_with("stub.rs") || path_text.ends_with("scripted.rs")
        {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
        for (at, _) in source.match_indices("tracing::") {
            let rest = &source[at + "tracing::".len()..];
            let Some((level, rest)) = rest.split_once("!(") else { continue };
            if level.len() < 9 && level.chars().all(|c| c.is_ascii_lowercase() || c == '$') {
                lines.push(read_line(&arguments(rest)));
            }
        }
    }
    assert!(lines.len() > 30, "only {} lines found: has the way of logging changed?", lines.len());
    lines
}

/// The arguments of a macro, up to its closing bracket, split at the outermost commas.
fn arguments(rest: &str) -> Vec<String> {
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    let mut all = vec![String::new()];
    for c in rest.chars() {
        let last = all.last_mut().unwrap();
        if quoted {
            quoted = escaped || c != '"';
            escaped = c == '\\' && !escaped;
        } else {
            match c {
                '"' => quoted = true,
                '(' | '{' | '[' => depth += 1,
                ')' if depth == 0 => return all,
                ')' | '}' | ']' => depth -= 1,
                ',' if depth == 0 => {
                    all.push(String::new());
                    continue;
                }
                _ => {}
            }
        }
        last.push(c);
    }
    panic!("a macro without an end: {rest:.80}");
}

fn read_line(arguments: &[String]) -> (BTreeSet<String>, Option<String>) {
    let (mut fields, mut event) = (BTreeSet::new(), None);
    // What a macro passes on is read where the macro is used; the first field of its own stands behind it.
    for argument in arguments.iter().map(|a| a.trim().trim_start_matches("$($field)*").trim_start()) {
        if argument.is_empty()
            || argument.starts_with('$')
            || argument.starts_with('"')
            || argument.starts_with("target:")
        {
            continue;
        }
        let (name, value) = argument.split_once('=').unwrap_or((argument, ""));
        let name = name.trim().trim_start_matches(['%', '?']);
        if name == "event" {
            event = Some(value.trim().trim_matches('"').to_owned());
        } else {
            fields.insert(name.to_owned());
        }
    }
    (fields, event)
}

#[test]
fn every_event_and_field_of_the_logs_is_described() {
    let text = text("docs/logs.md");
    let events = text.split("\n## Events").nth(1).unwrap().split("\n## ").next().unwrap();
    let described = first_cells(text.split("\n## Fields").nth(1).unwrap());
    let mut seen_events = BTreeSet::new();
    let mut seen_fields = BTreeSet::new();
    for (fields, event) in lines_of_source() {
        if let Some(event) = event {
            let row = events.lines().find(|l| l.starts_with(&format!("| `{event}` |")));
            let row = row.unwrap_or_else(|| panic!("docs/logs.md has no row for the event {event}"));
            for field in &fields {
                assert!(row.contains(&format!("`{field}`")), "docs/logs.md, {event}: {field} is missing");
            }
            seen_events.insert(event);
        }
        seen_fields.extend(fields);
    }
    assert_eq!(first_cells(events), seen_events, "events in docs/logs.md, and in src");
    assert_eq!(described, seen_fields, "fields in docs/logs.md, and in src");
}

/// `name`, kind and labels of each row, against what the gate registers.
#[test]
fn every_metric_is_described() {
    let metrics = Metrics::new(&["wecom"]).unwrap();
    let there: BTreeSet<(String, String, String)> = metrics
        .described()
        .iter()
        .map(|m| (m.name.clone(), format!("{:?}", m.kind).to_lowercase(), m.labels.join(", ")))
        .collect();
    assert!(there.len() > 30 && there.len() == metrics.described().len());
    let text = text("docs/metrics.md");
    let described: BTreeSet<(String, String, String)> = text
        .lines()
        .filter(|l| l.starts_with("| `wecom_gate_"))
        .map(|l| {
            let cells: Vec<&str> = l.split('|').map(str::trim).collect();
            (cells[1].replace('`', ""), cells[2].to_owned(), cells[3].replace('`', ""))
        })
        .collect();
    assert_eq!(described, there, "docs/metrics.md, and what src/metrics registers");
}

#[test]
fn every_dependency_has_a_reason() {
    let manifest: toml::Table = text("Cargo.toml").parse().unwrap();
    let text = text("docs/dependencies.md");
    let (binary, tests) = text.split_once("\n## In tests").unwrap();
    for (table, described) in [("dependencies", binary), ("dev-dependencies", tests)] {
        assert_eq!(others(&manifest[table]), first_cells(described), "[{table}] and docs/dependencies.md");
    }
    for path in ["sim/Cargo.toml", "demo/Cargo.toml", "tests/standin/Cargo.toml"] {
        let manifest: toml::Table = self::text(path).parse().unwrap();
        let names = others(&manifest["dependencies"]);
        assert!(names.is_subset(&first_cells(&text)), "{path} and docs/dependencies.md: {names:?}");
    }
}

/// What must never be part of a deployment is no part of the binary, and the simulator and the stand-in check the gate
/// independently.
#[test]
fn neither_the_gate_nor_what_tests_it_uses_the_other() {
    let uses = |path: &str, name: &str| {
        let manifest: toml::Table = text(path).parse().unwrap();
        manifest["dependencies"].as_table().unwrap().contains_key(name)
    };
    assert!(!uses("Cargo.toml", "wecom-sim") && !uses("Cargo.toml", "wecom-gate-demo"));
    assert!(!uses("Cargo.toml", "nocobase-standin"));
    assert!(!uses("sim/Cargo.toml", "wecom-gate") && !uses("tests/standin/Cargo.toml", "wecom-gate"));
    assert!(uses("demo/Cargo.toml", "wecom-sim") && uses("demo/Cargo.toml", "wecom-gate"));
}

/// Names of the dependencies in a table of a manifest, but for the crates of this workspace.
fn others(table: &toml::Value) -> BTreeSet<String> {
    table
        .as_table()
        .unwrap()
        .keys()
        .filter(|n| !matches!(n.as_str(), "wecom-gate" | "wecom-sim" | "nocobase-standin"))
        .cloned()
        .collect()
}

/// As GitHub makes them out of headings.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// Text outside fenced blocks.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut out = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
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

/// Phrases that only this project used, and that cost every reader a moment.
#[test]
fn documents_use_the_fields_words() {
    let phrases =
        ["whoever", "is well", "are well.", "of NocoBase's.", "of WeCom's.", " anew", "goes on by itself"];
    for file in markdown() {
        let text = fs::read_to_string(&file).unwrap();
        for (line, number) in text.lines().zip(1..) {
            let found = phrases.iter().find(|p| line.to_lowercase().contains(&p.to_lowercase()));
            assert!(found.is_none(), "{}:{number}: {found:?}", file.display());
        }
    }
}

/// Words after `prefix` at the beginning of code (lines of fenced blocks, and what is between backticks).
fn said(prefix: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for file in markdown().into_iter().filter(|f| !f.ends_with("CHANGELOG.md")) {
        let text = fs::read_to_string(&file).unwrap();
        let prose = prose(&text);
        let fenced = text.split("```").skip(1).step_by(2).flat_map(str::lines).map(str::trim_start);
        let spans = prose.split('`').skip(1).step_by(2);
        for code in fenced.chain(spans) {
            if let Some(rest) = code.trim_start_matches("sudo ").strip_prefix(prefix) {
                let word = rest.split(|c: char| !(c.is_ascii_lowercase() || c == '-')).next().unwrap();
                found.push((file.clone(), word.to_owned()));
            }
        }
    }
    found
}

#[test]
fn commands_exist() {
    let makefile = text("Makefile");
    let targets = said("make ");
    assert!(targets.iter().any(|(_, t)| t == "demo") && targets.iter().any(|(_, t)| t == "test"));
    for (file, target) in targets {
        let there = makefile.lines().any(|l| l.starts_with(&format!("{target}:")));
        assert!(there, "{}: make {target}: no such target", file.display());
    }
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_wecom-gate")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands = said("wecom-gate ");
    assert!(commands.iter().any(|(_, c)| c == "check"));
    for (file, command) in commands.into_iter().filter(|(_, c)| !c.is_empty() && !c.starts_with('-')) {
        assert!(help.contains(&format!("\n  {command} ")), "{}: wecom-gate {command}", file.display());
    }
}

/// In the two documents that walk through the code, paths may begin below `src` or below `src/proxy`.
#[test]
fn paths_in_the_documents_exist() {
    for file in ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/threat-model.md"] {
        let text = prose(&text(file));
        for code in text.split('`').skip(1).step_by(2).filter(|c| !c.contains(['*', ' ', '<', '=', ':'])) {
            let first = code.split('/').next().unwrap();
            // Not in git: what fuzzing has found.
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

/// The configuration that the README shows is one that the gate takes.
#[test]
fn configuration_in_the_documents_is_valid() {
    let mut checked = 0;
    for file in ["README.md", "docs/install.md"] {
        for block in text(file).split("```toml\n").skip(1).filter_map(|b| b.split("\n```").next()) {
            if !block.contains("origin = ") {
                continue;
            }
            // Secrets come from files there; here, from the environment.
            let block: String = block
                .lines()
                .filter(|l| !l.split('=').next().is_some_and(|key| key.trim().ends_with("_file")))
                .map(|l| format!("{l}\n"))
                .collect();
            let key =
                "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw";
            let env = [
                ("WECOM_GATE__SESSION__KEYS", key),
                ("WECOM_GATE__WECOM__0__SECRET", "secret"),
                ("WECOM_GATE__NOCOBASE__JWT_SECRET", "0123456789abcdef0123456789abcdef"),
            ];
            let env = env.map(|(k, v)| (k.to_owned(), v.to_owned()));
            let loaded = config::load_str(&block, env).unwrap_or_else(|e| panic!("{file}: {e}\n{block}"));
            assert!(loaded.warnings.is_empty(), "{file}: {:?}", loaded.warnings);
            checked += 1;
        }
    }
    assert!(checked >= 1, "no configuration found");
}

/// Without an engine for containers: what the files say about the program, about each other, and about their images.
#[test]
fn the_files_for_containers_fit() {
    let (docker, compose) = (text("Dockerfile"), text("conf/docker-compose.yml"));
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_wecom-gate")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for command in ["CMD [\"/usr/local/bin/wecom-gate\", \"healthcheck\"]", "\nCMD [\"run\"]"] {
        assert!(docker.contains(command), "{command}");
        let name = command.rsplit('"').nth(1).unwrap();
        assert!(help.contains(&format!("\n  {name} ")), "wecom-gate {name}");
    }
    assert!(docker.contains("--bin wecom-gate\n") && docker.contains("/target/release/wecom-gate "));
    let least = text("Cargo.toml");
    let least = least.lines().find_map(|l| l.strip_prefix("rust-version = \"")?.strip_suffix('"')).unwrap();
    let images: Vec<&str> = docker.lines().filter_map(|l| l.strip_prefix("FROM ")).collect();
    assert!(images[0].contains(&format!("rust:{least}-bookworm ")), "{images:?}: rust-version is {least}");
    assert!(images[1].contains("debian12:nonroot"), "{images:?}: the same Debian, and not root");

    assert!(compose.contains("build: ..\n") && root().join("Dockerfile").exists());
    let images = images.into_iter().chain(compose.lines().filter_map(|l| l.trim().strip_prefix("image: ")));
    for image in images {
        let registry = image.split('/').next().unwrap();
        assert!(registry.contains('.'), "{image}: podman asks no registry that is not named");
    }
    let list = |line: &str| -> Vec<String> {
        let line =
            line.trim().strip_prefix("secrets: [").and_then(|l| l.strip_suffix(']')).unwrap_or_default();
        line.split(", ").filter(|s| !s.is_empty()).map(str::to_owned).collect()
    };
    let used: BTreeSet<String> = compose.lines().flat_map(list).collect();
    let (_, declared) = compose.split_once("\nsecrets:\n").unwrap();
    let declared = declared.lines().map(|l| l.trim().split(':').next().unwrap().to_owned()).collect();
    assert_eq!(used, declared);
    let (example, mut told) = (text("conf/wecom-gate.toml"), 0);
    for line in compose.lines().filter(|l| l.starts_with('#')) {
        if let Some((key, secret)) = line.split_once(" = \"/run/secrets/") {
            let key = key.rsplit([' ', '.']).next().unwrap();
            assert!(example.contains(&format!("#{key} = ")), "{key} is no key of the configuration");
            assert!(used.contains(secret.trim_end_matches('"')), "{line}");
            told += 1;
        }
    }
    assert_eq!(told, 4);
}

/// Numbers are never given anew: a requirement whose tests have gone is one that nobody checks.
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
