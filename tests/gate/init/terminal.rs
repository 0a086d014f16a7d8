//! `init` with a person at a terminal.

use std::process::Child;

use super::*;

/// A terminal that can only print lines, and a person who types; no control sequences are sent to it.
struct Typist {
    child: Child,
    seen: String,
    output: std::sync::mpsc::Receiver<u8>,
    /// What the Enter key sends.
    enter: &'static str,
}

impl Typist {
    fn start(scene: &Scene, terminal: &str) -> Typist {
        let conf = scene.path("").display().to_string();
        let program = env!("CARGO_BIN_EXE_wecom-gate");
        let mut arguments = vec!["--dir".to_owned(), conf, "--group".into(), "root".into()];
        let all = scene.arguments();
        for option in ["--listen", "--api-base", "--authorize-url", "--web-login-url"] {
            let at = all.iter().position(|a| a == option).unwrap();
            arguments.extend([all[at].clone(), all[at + 1].clone()]);
        }
        let line = format!("exec {program} init {}", arguments.join(" "));
        let mut child = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .env_clear()
            .envs([("TERM", terminal), ("PATH", "/usr/bin:/bin"), ("SHELL", "/bin/sh")])
            .env("WECOM_GATE_INIT_JWT_SECRET", SECRET)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let (sender, output) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut byte = [0];
            while stdout.read(&mut byte).is_ok_and(|n| n > 0) && sender.send(byte[0]).is_ok() {}
        });
        let enter = if terminal == "dumb" { "\n" } else { "\r" };
        Typist { child, seen: String::new(), output, enter }
    }

    fn read_until(&mut self, words: &str) {
        let mut bytes = Vec::new();
        let from = self.seen.len();
        while !self.seen[from..].contains(words) {
            let byte = self.output.recv_timeout(Duration::from_secs(60));
            bytes.push(byte.unwrap_or_else(|_| panic!("{words:?} is not shown: {}", self.seen)));
            if let Ok(text) = String::from_utf8(bytes.clone()) {
                self.seen.push_str(&text);
                bytes.clear();
            }
        }
    }

    /// Waits until echo is off: earlier input is discarded, as intended.
    fn wait_for_no_echo(&self) {
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        let began = std::time::Instant::now();
        loop {
            let child = fs::read_to_string(&children).unwrap_or_default();
            let child = child.split_whitespace().next().unwrap_or("none");
            if let Ok(terminal) = fs::read_link(format!("/proc/{child}/fd/0")) {
                let stty = Command::new("stty").arg("-F").arg(terminal).arg("-a").output().unwrap();
                if String::from_utf8_lossy(&stty.stdout).split_whitespace().any(|word| word == "-echo") {
                    return;
                }
            }
            assert!(began.elapsed() < Duration::from_secs(60), "what is typed is shown: {}", self.seen);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn answer(&mut self, question: &str, answer: &str) {
        self.read_until(question);
        if question.contains("(not shown)") {
            self.wait_for_no_echo();
        }
        write!(self.child.stdin.as_mut().unwrap(), "{answer}{}", self.enter).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_answers_on_a_dumb_terminal() {
    let scene = Scene::set().await;
    let (typist, scene) = tokio::task::spawn_blocking(move || {
        let mut typist = Typist::start(&scene, "dumb");
        typist.answer("Address that people will open", &scene.origin);
        typist.answer("NocoBase's host and port [127.0.0.1:13000]: ", &scene.nocobase.address.to_string());
        typist.answer("NocoBase's administrator", "admin@nocobase.com");
        typist.answer("Password (not shown): ", "wrong");
        typist.read_until("password is incorrect");
        typist.answer("NocoBase's administrator", "admin@nocobase.com");
        typist.answer("Password (not shown): ", PASSWORD);
        typist.answer("CorpID", CORP);
        typist.answer("AgentId", &AGENT.to_string());
        typist.answer("Secret of the app (not shown): ", "mistyped");
        typist.answer("Answer again?", "");
        typist.answer("CorpID", "");
        typist.answer("AgentId", "");
        typist.answer("Secret of the app (not shown): ", APP_SECRET);
        typist.answer("(1 of 1 users have one)", "2");
        typist.answer("Do this?", "y");
        typist.read_until("check --conf");
        assert!(typist.child.wait().unwrap().success(), "{}", typist.seen);
        (typist, scene)
    })
    .await
    .unwrap();
    scene.assert_complete();
    for never in ["\x1b", APP_SECRET, PASSWORD, SECRET] {
        assert!(!typist.seen.contains(never), "{never:?} is shown: {}", typist.seen);
    }
    assert!(fs::read_to_string(scene.path("wecom-gate.toml")).unwrap().contains("auto_create_user = true"));
}

/// Questions with a cursor, and a "no" before anything is changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_declines() {
    let scene = Scene::set().await;
    let scene = tokio::task::spawn_blocking(move || {
        let mut typist = Typist::start(&scene, "xterm");
        typist.answer("Address that people will open", &scene.origin);
        typist.answer("NocoBase's host and port", &scene.nocobase.address.to_string());
        typist.answer("NocoBase's administrator", "admin@nocobase.com");
        typist.answer("Password (not shown)", PASSWORD);
        typist.answer("CorpID", CORP);
        typist.answer("AgentId", &AGENT.to_string());
        typist.answer("Secret of the app (not shown)", APP_SECRET);
        typist.answer("users have one", "");
        typist.read_until("Do this?");
        write!(typist.child.stdin.as_mut().unwrap(), "n").unwrap();
        assert!(!typist.child.wait().unwrap().success(), "{}", typist.seen);
        scene
    })
    .await
    .unwrap();
    assert!(!scene.path("").exists() && scene.nocobase.data().roles.len() == 1);
}
