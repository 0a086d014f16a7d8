//! The Helm chart matches the program: its configuration is valid, its variables are keys, and its ports, paths and user are
//! those of the image. `make chart` runs the real `helm` on it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::Path;

use wecom_gate::config;

fn text(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The text block under this key of `values.yaml`.
fn block(values: &str, key: &str) -> String {
    let rest = values.split(&format!("\n{key}: |\n")).nth(1).unwrap_or_else(|| panic!("no {key}"));
    let lines = rest.lines().take_while(|l| l.is_empty() || l.starts_with("  "));
    lines.map(|l| format!("{}\n", l.strip_prefix("  ").unwrap_or(l))).collect()
}

#[test]
fn what_the_chart_deploys_by_default_is_a_valid_configuration() {
    let (values, deployment) = (text("conf/helm/values.yaml"), text("conf/helm/templates/deployment.yaml"));
    // Secrets come from files there; here, from the environment.
    let toml: String = block(&values, "config")
        .lines()
        .filter(|l| !l.split('=').next().is_some_and(|key| key.trim().ends_with("_file")))
        .map(|l| format!("{l}\n"))
        .collect();
    let names: Vec<&str> = deployment
        .split("name: WECOM_GATE")
        .skip(1)
        .map(|rest| rest.split([',', '\n', ' ']).next().unwrap())
        .collect();
    assert!(names.len() >= 6, "{names:?}");
    let value = |name: &str| match name {
        "__ORIGIN" => "https://nocobase.example.com",
        "__LISTEN__HTTP" => "0.0.0.0:8080",
        "__LISTEN__OPS" => "0.0.0.0:9090",
        "__UPSTREAM__NODES" => "nocobase:80",
        "__ACCESS__TRUSTED_PROXIES" => "10.0.0.0/8",
        "__SESSION__REDIS" => "redis://gate-wecom-gate-redis:6379/0",
        other => panic!("WECOM_GATE{other}: try it here too"),
    };
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw";
    let secrets = [
        ("__SESSION__KEYS", key),
        ("__WECOM__0__SECRET", "secret"),
        ("__NOCOBASE__JWT_SECRET", "0123456789abcdef0123456789abcdef"),
    ];
    let env = names.iter().filter(|name| **name != "_CONF").map(|name| (*name, value(name)));
    let env = env.chain(secrets).map(|(name, value)| (format!("WECOM_GATE{name}"), value.to_owned()));
    let loaded = config::load_str(&toml, env.collect::<std::collections::BTreeMap<_, _>>())
        .unwrap_or_else(|e| panic!("{e}\n{toml}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    for line in ["origin: https://nocobase.example.com", "nodes: [\"nocobase:80\"]"] {
        assert!(values.contains(line), "{line}");
    }
}

#[test]
fn the_chart_fits_the_image() {
    let (docker, deployment) = (text("Dockerfile"), text("conf/helm/templates/deployment.yaml"));
    assert!(docker.contains("its user is 65532") && deployment.contains("runAsUser: 65532"));
    assert!(docker.contains("WECOM_GATE_CONF=/etc/wecom-gate/wecom-gate.toml"));
    assert!(deployment.contains("WECOM_GATE_CONF, value: /etc/wecom-gate/wecom-gate.toml"));
    assert!(docker.contains("EXPOSE 8080\n") && deployment.contains("containerPort: 8080"));
    let install = text("docs/install.md");
    for path in ["/servez", "/livez"] {
        assert!(deployment.contains(&format!("path: {path},")) && install.contains(path), "{path}");
    }
    let version = env!("CARGO_PKG_VERSION");
    let chart = text("conf/helm/Chart.yaml");
    assert!(chart.contains(&format!("\nappVersion: \"{version}\"\n")), "{version}: {chart}");
    // The files that the default configuration names are those that its comment says to create.
    let values = text("conf/helm/values.yaml");
    for name in ["app_key", "wecom_secret", "session_key"] {
        assert!(values.contains(&format!("/run/secrets/wecom-gate/{name}\"")), "{name}");
        assert!(values.contains(&format!("--from-file={name}")), "{name}");
    }
}
