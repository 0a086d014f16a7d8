//! Every dependency has a reason, and what is no part of a deployment is no dependency of the gate.

use std::collections::BTreeSet;

use crate::{first_cells, text};

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
