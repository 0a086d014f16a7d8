//! What the documents list: labels, steps of `check`, metrics.

use std::collections::BTreeSet;

use wecom_gate::check;
use wecom_gate::error::Failure;
use wecom_gate::message::Message;
use wecom_gate::metrics::Metrics;

use crate::text;

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
    // The example of the JSON output has the actual fields.
    let example: serde_json::Value =
        serde_json::from_str(text.split("```json\n").nth(1).unwrap().split("```").next().unwrap()).unwrap();
    let verdict = check::Verdict::failed("a", Message::verbatim("b"), Message::verbatim("c"));
    let verdict = verdict.with_detail(Message::verbatim("d"));
    let step = check::Step::new(check::Id::WecomTrustedIp, Some("wecom"), verdict);
    let keys = |v: &serde_json::Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let report = serde_json::to_value(check::Report::new(vec![step], None)).unwrap();
    assert_eq!(keys(&example), keys(&report));
    assert_eq!(keys(&example["steps"][0]), keys(&report["steps"][0]));
    assert_eq!(keys(&example["steps"][0]["findings"][0]), keys(&report["steps"][0]["findings"][0]));
}

/// `docs/check.md` shows a line for every step of `check`; the details of WeCom and NocoBase are examples.
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
