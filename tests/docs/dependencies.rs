//! Every dependency has a reason, and the gate does not depend on what is not deployed.

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

/// What must never be deployed is not linked into the binary, and the simulator and the stand-in check the gate independently.
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

/// Names of the dependencies in a table of a manifest, without the crates of this workspace.
fn others(table: &toml::Value) -> BTreeSet<String> {
    table
        .as_table()
        .unwrap()
        .keys()
        .filter(|n| !matches!(n.as_str(), "wecom-gate" | "wecom-sim" | "nocobase-standin"))
        .cloned()
        .collect()
}

/// What the threat model says about the supply chain: one crypto library, nothing that could panic on input, and a fuzz target
/// for each file that is built.
#[test]
fn there_is_one_crypto_library_and_what_could_panic_is_denied() {
    let lock: toml::Table = text("Cargo.lock").parse().unwrap();
    let packages: BTreeSet<&str> =
        lock["package"].as_array().unwrap().iter().map(|package| package["name"].as_str().unwrap()).collect();
    let deny: toml::Table = text("deny.toml").parse().unwrap();
    let banned: BTreeSet<&str> = deny["bans"]["deny"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ban| ban["crate"].as_str().unwrap())
        .filter(|name| !name.starts_with("pingora"))
        .collect();
    for name in ["aws-lc-rs", "aws-lc-sys", "openssl", "openssl-sys", "native-tls"] {
        assert!(banned.contains(name), "deny.toml does not refuse {name}");
    }
    assert!(packages.contains("ring") && packages.is_disjoint(&banned));

    let manifest: toml::Table = text("Cargo.toml").parse().unwrap();
    let lints = &manifest["workspace"]["lints"];
    assert_eq!(lints["rust"]["unsafe_code"].as_str(), Some("forbid"));
    for lint in ["unwrap_used", "expect_used", "panic", "indexing_slicing", "unreachable"] {
        assert_eq!(lints["clippy"][lint].as_str(), Some("deny"), "{lint}");
    }
    assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true));

    let fuzz: toml::Table = text("fuzz/Cargo.toml").parse().unwrap();
    let built: BTreeSet<String> = fuzz["bin"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| format!("{}.rs", target["name"].as_str().unwrap()))
        .collect();
    let there: BTreeSet<String> = std::fs::read_dir(crate::root().join("fuzz/fuzz_targets"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".rs"))
        .collect();
    assert_eq!(built, there);
}
