//! Commands and configurations shown in the documents and container files.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use wecom_gate::config;

use crate::{markdown, prose, root, text};

/// Words after `prefix` at the beginning of code (lines of fenced blocks, and text between backticks).
fn mentioned(prefix: &str) -> Vec<(PathBuf, String)> {
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
    let targets = mentioned("make ");
    assert!(targets.iter().any(|(_, t)| t == "demo") && targets.iter().any(|(_, t)| t == "test"));
    for (file, target) in targets {
        let there = makefile.lines().any(|l| l.starts_with(&format!("{target}:")));
        assert!(there, "{}: make {target}: no such target", file.display());
    }
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_wecom-gate")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands = mentioned("wecom-gate ");
    assert!(commands.iter().any(|(_, c)| c == "check"));
    for (file, command) in commands.into_iter().filter(|(_, c)| !c.is_empty() && !c.starts_with('-')) {
        assert!(help.contains(&format!("\n  {command} ")), "{}: wecom-gate {command}", file.display());
    }
}

/// The configuration that the README shows is valid.
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

/// Without a container engine: what the files require of the program, of each other, and of their images.
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
    assert!(
        docker.contains("./benches/release/build.sh\n") && docker.contains("/target/release/wecom-gate ")
    );
    // The image made without a registry is the same one.
    let image = text("conf/image.sh");
    for same in [
        "65532:65532",
        "WECOM_GATE_CONF=/etc/wecom-gate/wecom-gate.toml",
        "8080",
        "SIGTERM",
        "/usr/local/bin/wecom-gate",
    ] {
        assert!(docker.contains(same.trim_start_matches("65532:")) && image.contains(same), "{same}");
    }
    let least = text("Cargo.toml");
    let least = least.lines().find_map(|l| l.strip_prefix("rust-version = \"")?.strip_suffix('"')).unwrap();
    let images: Vec<&str> = docker.lines().filter_map(|l| l.strip_prefix("FROM ")).collect();
    assert!(images[0].contains(&format!("rust:{least}-bookworm ")), "{images:?}: rust-version is {least}");
    assert!(images[1].contains("debian12:nonroot"), "{images:?}: the same Debian, and not root");

    assert!(compose.contains("build: ..\n") && root().join("Dockerfile").exists());
    let images = images.into_iter().chain(compose.lines().filter_map(|l| l.trim().strip_prefix("image: ")));
    for image in images {
        let registry = image.split('/').next().unwrap();
        assert!(
            registry.contains('.') || registry == "localhost",
            "{image}: podman asks no registry that is not named"
        );
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
    // The arguments of `init` exist, and each variable is in the file that users fill in.
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_wecom-gate")).args(["init", "--help"]).output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    let given = compose.lines().filter_map(|l| l.trim().strip_prefix("WECOM_GATE_INIT_")?.split(':').next());
    for name in given {
        assert!(help.contains(&format!("[env: WECOM_GATE_INIT_{name}=")), "WECOM_GATE_INIT_{name}");
    }
    let expanded = compose.split("${").skip(1).filter_map(|rest| rest.split([':', '}']).next());
    let sourced = compose.lines().filter_map(|l| l.split_once("{ environment: ")?.1.strip_suffix(" }"));
    let wanted: BTreeSet<&str> = expanded.chain(sourced).collect();
    let example = text("conf/docker-compose.env");
    let offered =
        example.lines().filter(|l| !l.starts_with('#')).filter_map(|l| Some(l.split_once('=')?.0)).collect();
    assert_eq!(wanted, offered);
}
