//! Builds the tests once, finds which tests reach which mutants, and runs a mutant with those.

use std::{
    collections::HashMap,
    error::Error,
    fs::File,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, atomic::AtomicUsize, atomic::Ordering, mpsc},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::Outcome;

/// How many process tests run at once: they mostly wait.
const AT_ONCE: usize = 6;

/// A test that is slower than this without a mutant is left out: a unit test, a process test.
const SLOW: [Duration; 2] = [Duration::from_secs(20), Duration::from_secs(60)];

/// Unit tests, or process tests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Unit,
    Whole,
}

pub struct Tests {
    tree: PathBuf,
    kind: Kind,
    program: PathBuf,
    /// For each mutant the tests that reach it, beginning with those that reach least.
    reaching: Vec<Vec<String>>,
    /// How many mutants of a file each process test has detected.
    useful: Mutex<HashMap<(String, String), usize>>,
}

enum Verdict {
    Passed,
    Failed(String),
    /// These tests had not finished.
    TimedOut(Vec<String>),
}

impl Tests {
    /// Builds the tests, and runs each alone without a mutant. Failing or slow ones are left out. `keep`: earlier results are
    /// reused.
    pub fn prepare(tree: &Path, kind: Kind, mutants: usize, keep: bool) -> Result<Tests, Box<dyn Error>> {
        let mut tests = Tests {
            tree: std::path::absolute(tree)?,
            kind,
            program: PathBuf::new(),
            reaching: vec![Vec::new(); mutants],
            useful: Mutex::default(),
        };
        let program = tree.join(["program-unit.json", "program-whole.json"][kind as usize]);
        if keep && let Ok(program) = File::open(&program) {
            tests.program = serde_json::from_reader(program)?;
        } else {
            tests.build()?;
            serde_json::to_writer(File::create(program)?, &tests.program)?;
        }
        let known = tree.join(["reached-unit.json", "reached-whole.json"][kind as usize]);
        if keep && let Ok(known) = File::open(&known) {
            tests.reaching = serde_json::from_reader(known)?;
        } else {
            tests.find_what_reaches()?;
            serde_json::to_writer(File::create(known)?, &tests.reaching)?;
        }
        Ok(tests)
    }

    fn build(&mut self) -> Result<(), Box<dyn Error>> {
        let wanted: &[&str] = [&["--lib"] as &[&str], &["--test", "gate"]][self.kind as usize];
        let output = Command::new("cargo")
            .args(["test", "--quiet", "--no-run", "--message-format", "json"])
            .args(wanted)
            .current_dir(&self.tree)
            .stderr(Stdio::inherit())
            .output()?;
        self.program = String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|line| {
                line["profile"]["test"] == true
                    && line["target"]["kind"][0] == ["lib", "test"][self.kind as usize]
            })
            .find_map(|line| line["executable"].as_str().map(PathBuf::from))
            .ok_or("the tests do not compile")?;
        Ok(())
    }

    fn find_what_reaches(&mut self) -> Result<(), Box<dyn Error>> {
        let output = Command::new(&self.program).args(["--list", "--format", "terse"]).output()?;
        let names: Vec<String> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| line.strip_suffix(": test").map(String::from))
            .collect();
        let (next, found, names) = (AtomicUsize::new(0), Mutex::new(Vec::new()), names.as_slice());
        std::thread::scope(|scope| {
            for worker in 0..[3, AT_ONCE][self.kind as usize] {
                let (this, names, next, found) = (&*self, names, &next, &found);
                scope.spawn(move || {
                    while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                        match this.reached_by(name, worker) {
                            Some(ids) => found.lock().unwrap().push((ids, name)),
                            None => println!("fails or is slow without a mutant, and is left out: {name}"),
                        }
                    }
                });
            }
        });
        let mut found = found.into_inner().map_err(|_| "a test could not be started")?;
        println!("{} tests in {}", found.len(), self.program.display());
        found.sort_by_key(|(ids, _)| ids.len());
        for (ids, name) in found {
            for id in ids {
                self.reaching[id].push(name.clone());
            }
        }
        Ok(())
    }

    fn reached_by(&self, name: &str, worker: usize) -> Option<Vec<usize>> {
        let file = self.tree.join(format!("reached-{}-{worker}", self.kind as usize));
        for _ in 0..2 {
            let begun = Instant::now();
            let _ = std::fs::remove_file(&file);
            let names = [name.to_string()];
            if let Verdict::Passed = self.run(&names, ("MUTANTS_REACHED", &file.to_string_lossy()), worker) {
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                let mut ids: Vec<usize> = text.lines().filter_map(|line| line.parse().ok()).collect();
                ids.sort_unstable();
                ids.dedup();
                ids.retain(|id| *id < self.reaching.len());
                return (begun.elapsed() < SLOW[self.kind as usize]).then_some(ids);
            }
        }
        None
    }

    /// Do any of these tests reach the mutant?
    pub fn reach(&self, id: usize) -> bool {
        !self.reaching[id].is_empty()
    }

    /// Runs one mutant with all tests that reach it, beginning with those that reach little else.
    pub fn attempt_all(&self, id: usize, worker: usize) -> Option<Outcome> {
        let (first, rest) = self.reaching[id].split_at(self.reaching[id].len().min(12));
        self.batches(id, [first, rest].map(<[String]>::to_vec).into(), worker)
    }

    /// Runs one mutant with at most `most` tests, the most promising first.
    pub fn attempt(&self, id: usize, file: &str, most: usize, worker: usize) -> Outcome {
        let mut names: Vec<String> = self.reaching[id].clone();
        {
            let useful = self.useful.lock().unwrap();
            let caught = |name: &String| useful.get(&(file.to_string(), name.clone())).copied().unwrap_or(0);
            names.sort_by_key(|name| std::cmp::Reverse((caught(name), is_about(name, file))));
        }
        names.truncate(most);
        let outcome = self.batches(id, names.chunks(AT_ONCE).map(<[String]>::to_vec).collect(), worker);
        if let Some(Outcome::Caught(name)) = &outcome {
            *self.useful.lock().unwrap().entry((file.into(), name.clone())).or_default() += 1;
        }
        outcome.unwrap_or(Outcome::Missed(names.len()))
    }

    /// Runs one mutant with these tests; `None` if all pass. A failing test is run again alone, and one that times out gets as
    /// much time again, as long as others finish meanwhile: a busy machine is slow.
    fn batches(&self, id: usize, batches: Vec<Vec<String>>, worker: usize) -> Option<Outcome> {
        let awake = id.to_string();
        let awake = ("MUTANT", awake.as_str());
        for mut names in batches {
            while !names.is_empty() {
                match self.run(&names, awake, worker) {
                    Verdict::Passed => break,
                    Verdict::Failed(name) => {
                        // If the process itself ended, no test is named.
                        let named = names.contains(&name);
                        let again = if named { vec![name.clone()] } else { names.clone() };
                        match self.run(&again, awake, worker) {
                            Verdict::Failed(_) => return Some(Outcome::Caught(name)),
                            Verdict::TimedOut(_) => return Some(Outcome::TimedOut),
                            Verdict::Passed if named => names.retain(|other| *other != name),
                            Verdict::Passed => break,
                        }
                    }
                    Verdict::TimedOut(left) if left.len() < names.len() => names = left,
                    Verdict::TimedOut(_) => return Some(Outcome::TimedOut),
                }
            }
        }
        None
    }

    /// Runs tests until the first fails.
    fn run(&self, names: &[String], (key, value): (&str, &str), worker: usize) -> Verdict {
        let kind = self.kind as usize;
        let files = self.tree.join(format!("tmp-{kind}-{worker}"));
        let _ = std::fs::remove_dir_all(&files);
        let _ = std::fs::create_dir_all(&files);
        let child = Command::new(&self.program)
            .arg("--exact")
            .args(names)
            .args(["--test-threads", ["2", "6"][kind]])
            .current_dir(&self.tree)
            .env("CARGO_MANIFEST_DIR", &self.tree)
            .env("TMPDIR", &files)
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true")
            .env("PROPTEST_MAX_SHRINK_ITERS", "0")
            .env(key, value)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let Ok(mut child) = child else { return Verdict::Failed("cannot start".into()) };
        let deadline = Instant::now() + Duration::from_secs([60, 150][kind]);
        let verdict = watch(&mut child, names, deadline);
        // Also the processes that the tests have started.
        let group = format!("-{}", child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = child.wait();
        verdict
    }
}

/// Does the test's name share a word with the file's?
fn is_about(test: &str, file: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let all = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 3);
        all.map(|word| word.trim_end_matches('s').to_owned()).collect()
    };
    let of_file = words(file.trim_start_matches("src/").split_once('/').map_or(file, |(_, rest)| rest));
    words(test).iter().any(|word| of_file.contains(word))
}

fn watch(child: &mut Child, names: &[String], deadline: Instant) -> Verdict {
    let mut left = names.to_vec();
    let (tell, hear) = mpsc::channel();
    let Some(output) = child.stdout.take() else { return Verdict::Failed("no output".into()) };
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            if tell.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
    let mut over = false;
    loop {
        match hear.recv_timeout(Duration::from_millis(50)) {
            Ok(line) => {
                if let Some(name) =
                    line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
                {
                    return Verdict::Failed(name.trim_end_matches(" - should panic").into());
                }
                if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... ok")) {
                    left.retain(|other| other != name.trim_end_matches(" - should panic"));
                }
                continue;
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => over = true,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Verdict::Passed,
            Ok(Some(_)) => return Verdict::Failed("the process".into()),
            _ if Instant::now() > deadline => return Verdict::TimedOut(left),
            _ if over => std::thread::sleep(Duration::from_millis(5)),
            _ => {}
        }
    }
}
