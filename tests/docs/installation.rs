//! What an administrator copies from the documents on the way to the first sign-in, and the numbers of the version.

use std::process::Command;

use crate::{markdown, root, text};

/// Lines of the fenced blocks in these documents, without comments.
fn commands() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in markdown() {
        let name = file.strip_prefix(root()).unwrap().display().to_string();
        let whole = std::fs::read_to_string(&file).unwrap();
        for line in whole.split("```").skip(1).step_by(2).flat_map(str::lines) {
            let line = line.split(" # ").next().unwrap().trim();
            if !line.is_empty() && !line.starts_with('#') {
                found.push((name.clone(), line.to_owned()));
            }
        }
    }
    assert!(found.len() > 100, "{}", found.len());
    found
}

/// Only the gate's user and root can read the folder: in `sudo chown ... /etc/wecom-gate/*` the caller's shell finds nothing there.
#[test]
fn no_command_lets_the_shell_look_into_a_closed_folder() {
    for (file, line) in commands() {
        for word in line.split_whitespace() {
            let closed = word.trim_start_matches(['"', '\'']).starts_with("/etc/wecom-gate/");
            assert!(!(closed && word.contains(['*', '?', '[', '{'])), "{file}: {line}");
        }
    }
}

/// A fresh machine does not have the folders of zsh's functions.
#[test]
fn folders_exist_before_a_command_writes_into_them() {
    let theirs = ["/usr/share/bash-completion/completions", "/usr/share/fish/vendor_completions.d"];
    for name in ["docs/install.md", "docs/zh/install.md"] {
        let lines: Vec<String> =
            commands().into_iter().filter(|(file, _)| file == name).map(|(_, line)| line).collect();
        let mut checked = 0;
        for (at, line) in lines.iter().enumerate() {
            let Some(path) = line.split("sudo tee ").nth(1).and_then(|rest| rest.split(' ').next()) else {
                continue;
            };
            let folder = path.rsplit_once('/').unwrap().0;
            let made = lines[..at]
                .iter()
                .any(|l| l.starts_with("sudo install -d ") && l.ends_with(&format!(" {folder}")));
            assert!(made || theirs.contains(&folder) || folder == "/etc/wecom-gate", "{name}: {line}");
            checked += 1;
        }
        assert!(checked >= 3, "{name}: {checked}");
    }
}

/// The tests run `conf/nginx-in-front.conf`; what the README shows of it is the same.
#[test]
fn nginx_in_the_readme_is_the_nginx_that_the_tests_run() {
    let lines = |text: &str| -> Vec<String> {
        let code = text.lines().map(|line| line.split('#').next().unwrap().trim().to_owned());
        code.filter(|line| !line.is_empty()).collect()
    };
    let example = lines(&text("conf/nginx-in-front.conf"));
    for name in ["README.md", "README.zh-CN.md"] {
        let readme = text(name);
        let block = readme.split("```nginx\n").nth(1).and_then(|rest| rest.split("\n```").next()).unwrap();
        let shown = lines(block);
        assert!(example.windows(shown.len()).any(|part| part == shown), "{name}:\n{}", shown.join("\n"));
        for directive in [
            "proxy_pass ",
            "proxy_set_header Host ",
            "proxy_set_header X-Forwarded-For ",
            "proxy_set_header Upgrade ",
        ] {
            assert!(shown.iter().any(|line| line.starts_with(directive)), "{name}: {directive}");
        }
    }
}

/// A release has one number: of the program, the chart and its image, and the newest section of the changelog that has a date.
#[test]
fn the_version_is_the_same_everywhere() {
    let version = env!("CARGO_PKG_VERSION");
    let printed = Command::new(env!("CARGO_BIN_EXE_wecom-gate")).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8(printed.stdout).unwrap().trim(), format!("wecom-gate {version}"));
    let chart = text("conf/helm/Chart.yaml");
    for line in [format!("version: {version}"), format!("appVersion: \"{version}\"")] {
        assert!(chart.lines().any(|l| l == line), "conf/helm/Chart.yaml has no line {line}");
    }
    let changelog = text("CHANGELOG.md");
    let sections: Vec<&str> = changelog.lines().filter_map(|l| l.strip_prefix("## [")).collect();
    let released = sections.iter().find(|l| !l.starts_with("Unreleased]")).unwrap();
    let (number, date) = released.split_once("] - ").unwrap();
    assert_eq!(number, version, "CHANGELOG.md");
    let digits = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>();
    assert_eq!(digits, "0000-00-00", "CHANGELOG.md: {released}");
    // What an administrator needs to know of each version.
    let section = changelog.split(&format!("\n## [{version}]")).nth(1).unwrap();
    let section = section.split("\n## [").next().unwrap();
    for heading in ["\n### Stable from here on\n", "\n### Upgrading\n"] {
        assert!(section.contains(heading), "CHANGELOG.md, {version}: {heading}");
    }
}
