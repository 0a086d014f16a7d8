//! The command line as people and containers use it: exit codes, and which output goes where.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A valid configuration with canaries as secrets.
const VALID: &str = r#"
origin = "https://nb.example.com"
upstream.nodes = ["127.0.0.1:13000"]
nocobase = { jwt_secret = "CANARY-CANARY-CANARY", service_token = "CANARY" }
wecom = [{ corp_id = "ww0123456789abcdef", agent_id = "1000002", secret = "CANARY", home_mobile = "/m" }]
session.keys = ["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw"]
"#;

fn gate(args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wecom-gate"));
    command.args(args).env_clear().envs(env.iter().copied()).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn help_and_version_are_no_errors() {
    for args in [&["--help"][..], &["--version"], &["help"], &["check", "--help"], &["run", "-h"]] {
        let output = gate(args, &[]);
        assert_eq!((code(&output), err(&output).as_str()), (0, ""), "{args:?}");
        assert!(out(&output).contains("wecom-gate") || out(&output).contains("Usage"));
    }
    let help = out(&gate(&["--help"], &[]));
    for command in ["run", "init", "check", "keygen", "certs", "schema", "healthcheck", "completions", "man"]
    {
        assert!(help.contains(&format!("\n  {command} ")), "{command}");
    }
}

#[test]
fn wrong_usage_is_64() {
    for args in [&[][..], &["bogus"], &["run", "--bogus"], &["run", "--conf"], &["healthcheck", "--ops", "x"]]
    {
        let output = gate(args, &[]);
        assert_eq!((code(&output), out(&output).as_str()), (64, ""), "{args:?}");
        assert!(err(&output).contains("Usage") || err(&output).contains("--help"), "{}", err(&output));
    }
}

#[test]
fn wrong_configuration_is_78_with_all_errors_and_no_secret() {
    let wrong =
        file(&format!("orgin = 'x'\n{}", VALID.replace("https://nb", "ftp://nb").replace("ww0", "CORP")));
    let path = wrong.path().to_str().unwrap();
    for args in [&["run", "--conf", path][..], &["healthcheck", "--conf", path], &["check", "--conf", path]] {
        let output = gate(args, &[]);
        assert_eq!(code(&output), 78, "{args:?}");
        let text = if args[0] == "check" { out(&output) } else { err(&output) };
        for part in [
            "orgin (line 1)",
            "did you mean `origin`",
            "origin = \"ftp://nb.example.com\"",
            "wecom[0].corp_id",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains("CANARY"), "{text}");
    }
    for missing in [gate(&["run"], &[]), gate(&["run", "--conf", "/nonexistent.toml"], &[])] {
        assert_eq!(code(&missing), 78);
        assert!(!err(&missing).is_empty());
    }
}

#[test]
fn check_prints_the_links_for_wecoms_console() {
    let valid = file(VALID);
    let path = valid.path().to_str().unwrap();
    let output =
        gate(&["check", "--offline"], &[("WECOM_GATE_CONF", path), ("WECOM_GATE__WECOM__0__NAME", "office")]);
    let text = out(&output);
    assert_eq!(code(&output), 0, "{text}");
    for part in [
        "https://nb.example.com/admin",
        "https://nb.example.com/m",
        "/wecom-gate/events/office",
        "ok      configuration",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains("CANARY"));
}

#[test]
fn check_speaks_json() {
    let valid = file(VALID);
    let output = gate(
        &["check", "--json", "--offline", "--conf", valid.path().to_str().unwrap()],
        &[("WECOM_GATE__SESSION__ABSOLUTE", "8d")],
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((code(&output), &report["ok"]), (0, &true.into()));
    assert_eq!(report["steps"][0]["name"], "configuration");
    assert_eq!(report["steps"][0]["outcome"], "warning");
    assert_eq!(report["steps"][0]["findings"][0]["about"], "session.absolute");
    assert_eq!(report["links"][0]["callback_domain"], "nb.example.com");

    let output = gate(&["check", "--json"], &[("WECOM_GATE__LOG__LEVEL", "loud")]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((code(&output), &report["ok"]), (78, &false.into()));
    let findings = report["steps"][0]["findings"].as_array().unwrap();
    let level = findings.iter().find(|f| f["about"] == "log.level").unwrap();
    assert_eq!(
        (&level["value"], &level["place"]),
        (&"\"loud\"".into(), &"environment WECOM_GATE__LOG__LEVEL".into())
    );
}

#[test]
fn keygen_makes_keys_that_are_accepted() {
    let key = || out(&gate(&["keygen"], &[]));
    let (one, other) = (key(), key());
    assert_ne!(one, other);
    assert_eq!(STANDARD.decode(one.trim_end()).unwrap().len(), 64);
    let env = format!("{},{}", one.trim(), other.trim());
    let valid = file(VALID);
    let output = gate(
        &["check", "--offline", "--conf", valid.path().to_str().unwrap()],
        &[("WECOM_GATE__SESSION__KEYS", &env)],
    );
    assert_eq!(code(&output), 0, "{}", out(&output));
}

#[test]
fn schema_and_reference() {
    let output = gate(&["schema"], &[]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["properties"]["session"]["properties"]["idle"]["default"], "12h");
    assert_eq!(out(&gate(&["schema", "--markdown"], &[])), include_str!("../docs/configuration.md"));
}

/// Answers one request with this status line; returns the request.
fn answering(status: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 1024];
        let n = stream.read(&mut head).unwrap();
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        String::from_utf8_lossy(&head[..n]).into_owned()
    });
    (address, thread)
}

#[test]
fn healthcheck_asks_the_ops_listener() {
    let (address, asked) = answering("200 OK");
    let valid = file(VALID);
    let conf = valid.path().to_str().unwrap();
    // A proxy in the environment is ignored.
    let env = [("WECOM_GATE__LISTEN__OPS", address.as_str()), ("http_proxy", "http://127.0.0.1:1")];
    let output = gate(&["healthcheck", "--conf", conf], &env);
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(asked.join().unwrap().starts_with("GET /readyz HTTP/1.1\r\n"));

    let (address, asked) = answering("503 Service Unavailable");
    let output = gate(&["healthcheck", "--ops", &address], &[("WECOM_GATE_CONF", conf)]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("503"));
    asked.join().unwrap();

    let output = gate(&["healthcheck", "--ops", &address], &[]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("does not answer"), "{}", err(&output));
    let output = gate(&["healthcheck", "--conf", conf], &[("WECOM_GATE__LISTEN__OPS", "")]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("listen.ops is switched off"));
}

#[test]
fn every_command_has_help_with_an_example() {
    let help = out(&gate(&["--help"], &[]));
    let commands: Vec<&str> = help
        .split("\nCommands:\n")
        .nth(1)
        .unwrap()
        .lines()
        .take_while(|l| !l.is_empty())
        .filter_map(|l| l.split_whitespace().next())
        .collect();
    assert!(commands.len() > 8, "{commands:?}");
    for command in commands.into_iter().filter(|c| *c != "help") {
        let help = out(&gate(&[command, "--help"], &[]));
        let example = help.split("Examples:\n").nth(1).unwrap_or_else(|| panic!("{command}: no example"));
        assert!(example.contains(&format!("wecom-gate {command}")), "{command}: {example}");
    }
}

#[test]
fn completions_know_the_commands_and_options() {
    for (shell, sign) in
        [("bash", "complete -F"), ("zsh", "#compdef wecom-gate"), ("fish", "complete -c wecom-gate")]
    {
        let output = gate(&["completions", shell], &[]);
        let text = out(&output);
        assert_eq!((code(&output), err(&output).as_str()), (0, ""), "{shell}");
        for part in [sign, "healthcheck", "offline", "member"] {
            assert!(text.contains(part), "{shell}: no {part}");
        }
    }
    assert_eq!(code(&gate(&["completions", "csh"], &[])), 64);
}

/// Bash itself completes with them.
#[test]
fn bash_completes() {
    let script = file(&out(&gate(&["completions", "bash"], &[])));
    let ask = "source \"$1\"; COMP_WORDS=(wecom-gate health); COMP_CWORD=1; _wecom__gate wecom-gate health wecom-gate; \
               echo \"${COMPREPLY[@]}\"";
    let output = Command::new("bash").args(["--norc", "-c", ask, "-"]).arg(script.path()).output().unwrap();
    assert_eq!(out(&output).trim(), "healthcheck", "{}", err(&output));
}

#[test]
fn man_pages() {
    let page = out(&gate(&["man"], &[]));
    assert!(page.contains(".TH wecom-gate 1") && page.contains(".SH NAME"), "{page}");
    let dir = tempfile::tempdir().unwrap();
    let output = gate(&["man", "--dir", dir.path().to_str().unwrap()], &[]);
    assert_eq!(code(&output), 0, "{}", err(&output));
    for name in ["wecom-gate.1", "wecom-gate-check.1", "wecom-gate-run.1", "wecom-gate-healthcheck.1"] {
        let page = std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{name}");
        assert!(name == "wecom-gate.1" || page.contains("Examples:"), "{name}: no examples");
    }
    let below_a_file = dir.path().join("wecom-gate.1/x");
    let output = gate(&["man", "--dir", below_a_file.to_str().unwrap()], &[]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("wecom-gate.1/x"), "{}", err(&output));
}

#[test]
fn folders_are_made() {
    let dir = tempfile::tempdir().unwrap();
    for (command, file) in [("man", "wecom-gate.1"), ("certs", "privkey.pem")] {
        let folder = dir.path().join(command).join("below");
        let output = gate(&[command, "--dir", folder.to_str().unwrap()], &[]);
        assert_eq!(code(&output), 0, "{}", err(&output));
        assert!(folder.join(file).exists(), "{command}");
    }
}

/// Root can read everything, so run by root this shows nothing.
#[test]
fn a_configuration_that_may_not_be_read_is_not_called_missing() {
    let missing = gate(&["run", "--conf", "/nonexistent.toml"], &[]);
    assert!(err(&missing).contains("does not exist"), "{}", err(&missing));
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let conf = dir.path().join("closed/wecom-gate.toml");
    std::fs::create_dir(conf.parent().unwrap()).unwrap();
    std::fs::write(&conf, VALID).unwrap();
    std::fs::set_permissions(conf.parent().unwrap(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wecom-gate"));
    if root {
        // The program may be in a directory that other users cannot enter.
        let program = dir.path().join("wecom-gate");
        // Copied in another process: a child of another test would inherit a file that this process has open for writing, and
        // such a file cannot be executed (ETXTBSY).
        let copied = Command::new("cp").args([env!("CARGO_BIN_EXE_wecom-gate")]).arg(&program).status();
        assert!(copied.unwrap().success());
        command = Command::new(program);
        command.uid(65_534).gid(65_534);
    } else {
        std::fs::set_permissions(conf.parent().unwrap(), std::fs::Permissions::from_mode(0o000)).unwrap();
    }
    let output = command.args(["run", "--conf"]).arg(&conf).env_clear().output().unwrap();
    assert_eq!(code(&output), 78);
    assert!(err(&output).contains("with sudo"), "{}", err(&output));
    std::fs::set_permissions(conf.parent().unwrap(), std::fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn maintenance_makes_and_removes_the_file_that_the_gate_looks_for() {
    let dir = tempfile::tempdir().unwrap();
    let flag = dir.path().join("gate/maintenance");
    let conf = file(&format!("{VALID}pages.maintenance_file = {flag:?}"));
    let conf = conf.path().to_str().unwrap();
    let run = |args: &[&str]| {
        let args: Vec<&str> = [&["maintenance"], args, &["--conf", conf]].concat();
        let output = gate(&args, &[]);
        (code(&output), out(&output) + &err(&output))
    };
    assert!(matches!(run(&["status"]), (0, text) if text.starts_with("open: ")));
    assert!(
        matches!(run(&["on", "Back at 14:00"]), (0, text) if text.starts_with("closed for maintenance: "))
    );
    assert_eq!(std::fs::read_to_string(&flag).unwrap(), "Back at 14:00\n");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&flag), mode(flag.parent().unwrap())), (0o644, 0o755));
    assert!(matches!(run(&["status"]), (0, text) if text.ends_with("\nBack at 14:00\n")));
    assert!(matches!(run(&["off"]), (0, text) if text.starts_with("open again: ")));
    assert!(matches!(run(&["off"]), (0, text) if text.starts_with("was open: ")));
    assert!(!flag.exists());
    assert!(matches!(run(&["off", "Back"]), (64, text) if text.contains("with `on` only")));
    std::fs::create_dir(&flag).unwrap();
    assert!(matches!(run(&["on"]), (1, text) if text.contains("directory")));
    let none = file(&format!("{VALID}pages.maintenance_file = \"\""));
    let output = gate(&["maintenance", "on", "--conf", none.path().to_str().unwrap()], &[]);
    assert_eq!(code(&output), 64, "{}", err(&output));
    let relative = file(&format!("{VALID}pages.maintenance_file = \"maintenance\""));
    let output = gate(&["maintenance", "on", "--conf", relative.path().to_str().unwrap()], &[]);
    assert_eq!(code(&output), 78, "{}", err(&output));
    assert!(err(&output).contains("pages.maintenance_file"), "{}", err(&output));
}

#[test]
fn certs_makes_a_pair_that_check_takes_and_overwrites_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let make = || gate(&["certs", "--dir", dir.path().to_str().unwrap(), "nb.example.com"], &[]);
    assert_eq!((code(&make()), code(&make())), (0, 1));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(path("privkey.pem")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let listen = format!(
        "listen = {{ https = [\"127.0.0.1:8443\"], cert = {:?}, key = {:?} }}\n",
        path("fullchain.pem"),
        path("privkey.pem")
    );
    let conf = file(&format!("{listen}{VALID}"));
    let output = gate(&["check", "--offline", "--json", "--conf", conf.path().to_str().unwrap()], &[]);
    let said: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    let tls = said["steps"].as_array().unwrap().iter().find(|s| s["name"] == "tls").unwrap().clone();
    assert_eq!(tls["outcome"], "warning", "{tls}");
    assert!(
        tls["findings"].as_array().unwrap().iter().all(|f| f["what"].to_string().contains("self-signed"))
    );
}
