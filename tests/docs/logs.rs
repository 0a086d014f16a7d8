//! Events and fields of the log, as `src` writes them and as `docs/logs.md` describes them.

use std::collections::BTreeSet;
use std::fs;

use wecom_gate::audit::{Action, Actor};

use crate::{files, first_cells, root, text};

/// The `(fields, event)` of every `tracing` line in `src`.
fn lines_of_source() -> Vec<(BTreeSet<String>, Option<String>)> {
    let mut sources = Vec::new();
    files(&root().join("src"), ".rs", &mut sources);
    let mut lines = Vec::new();
    for path in sources {
        let path_text = path.strip_prefix(root()).unwrap().to_str().unwrap();
        if path_text.contains("tests") || path_text.contains("/test_") {
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
        // `log_cause!(level, cause, [fields], message)`
        for (at, call) in source.match_indices("log_cause!(") {
            let all = arguments(&source[at + call.len()..]);
            let fields = all.get(2).and_then(|fields| fields.trim().strip_prefix('[')?.strip_suffix(']'));
            if let Some(fields) = fields.filter(|fields| !fields.contains('$')) {
                lines.push(read_line(&arguments(&format!("{fields})"))));
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
    // Arguments that a macro passes on are read where the macro is used; its own first field follows them.
    for argument in arguments.iter().map(|a| a.trim().trim_start_matches("$($field)*").trim_start()) {
        if argument.is_empty()
            || argument.starts_with('$')
            || argument.starts_with('"')
            || argument.starts_with("target:")
            || argument.starts_with("parent:")
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

/// The tables of the section about the audit log, and its example, against the code.
#[test]
fn every_action_and_actor_of_the_audit_log_is_described() {
    let text = text("docs/logs.md");
    let section = text.split("\n## Audit log").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<&str> = section.lines().filter(|l| l.starts_with("| `")).collect();
    let names = |cell: usize| -> BTreeSet<String> {
        let cells = rows.iter().filter_map(|l| l.split('|').nth(cell));
        cells.flat_map(|c| c.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
    };
    let actions: BTreeSet<String> = Action::ALL.iter().map(|action| action.name().to_owned()).collect();
    let actors: BTreeSet<String> = Actor::ALL.iter().map(|actor| actor.name().to_owned()).collect();
    assert_eq!((names(1), names(3)), (actions, actors), "docs/logs.md, and src/audit");
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
