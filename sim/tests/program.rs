//! `wecom-sim` as people call it: options, what it prints, exit codes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// A simulator that runs; it ends with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wecom-sim"));
    command.args(args).env_clear();
    command
}

fn output(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

/// Starts it on a free port; returns it, its address, and what it prints after the first line.
fn start() -> (Program, String, BufReader<ChildStdout>) {
    let args = ["--listen", "127.0.0.1:0", "--app-origin", "http://127.0.0.1:8080"];
    let mut program = Program(command(&args).stdout(Stdio::piped()).spawn().unwrap());
    let mut out = BufReader::new(program.0.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let address = line.strip_prefix("WeCom simulator at ").unwrap().trim_end().to_owned();
    (program, address, out)
}

#[test]
fn it_prints_the_entries_for_the_gate_and_stops_at_a_signal() {
    let (mut program, address, mut out) = start();
    // It has printed everything before it waits for a signal.
    let kill = Command::new("kill").args(["-TERM", &program.0.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let mut text = String::new();
    out.read_to_string(&mut text).unwrap();
    assert!(program.0.wait().unwrap().success());
    let entries: toml::Table = text.split_once(":\n").unwrap().1.parse().unwrap();
    let entry = &entries["wecom"][0];
    let base = address.trim_end_matches('/');
    assert_eq!(entry["corp_id"].as_str(), Some("ww0123456789abcdef"));
    assert_eq!(entry["api_base"].as_str(), Some(base));
    assert_eq!(entry["authorize_url"].as_str().unwrap(), format!("{base}/connect/oauth2/authorize"));
    assert_eq!(entry["web_login_url"].as_str().unwrap(), format!("{base}/wwlogin/sso/login"));
}

#[test]
fn help_and_version_are_no_errors_and_wrong_usage_is_64() {
    for args in [["--help"], ["--version"]] {
        let output = output(&args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(String::from_utf8(output.stdout).unwrap().contains("wecom-sim"), "{args:?}");
    }
    for args in [&["--bogus"][..], &["--listen", "x"]] {
        assert_eq!(output(args).status.code(), Some(64), "{args:?}");
    }
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let (_running, address, _out) = start();
    let address = address.trim_start_matches("http://").trim_end_matches('/');
    let output = output(&["--listen", address]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with(&format!("wecom-sim: cannot listen on {address}")), "{said}");
}
