//! Reports which changes of the code no test detects: all mutants that `cargo mutants` lists, in one build (`switch`), each run
//! with the tests that reach it (`tests`). `tests/setup/mutants.sh` prepares its input.
//!
//!     wecom-gate-mutants TREE LIST RESULTS
//!
//! TREE is a copy of the repository that may be changed, LIST the mutants, RESULTS the output file with one line of JSON per
//! mutant.
mod switch;
mod tests;
mod tree;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    error::Error,
    fs::File,
    io::Write,
    path::Path,
    sync::{Mutex, atomic::AtomicUsize, atomic::Ordering},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{
    switch::Mutant,
    tests::{Kind, Tests},
};

/// The result for a mutant.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "why", rename_all = "snake_case")]
pub enum Outcome {
    /// This test failed.
    Caught(String),
    /// The tests exceeded their time limit.
    TimedOut,
    /// This many tests that reach it passed.
    Missed(usize),
    /// The unit tests that reach it, if any, passed; the process tests were not run (GATE_TESTS=0).
    Survived,
    /// No test reaches it.
    NotReached,
    /// It does not compile: the error code.
    Unviable(String),
    /// It cannot be part of a build with others.
    NotTried(String),
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

/// The files that are tried first.
const FIRST: [&str; 2] = ["src/decide/", "src/session/"];

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, tree, list, results] = arguments.as_slice() else {
        return Err("wecom-gate-mutants TREE LIST RESULTS".into());
    };
    let tree = Path::new(tree);
    let mut mutants: Vec<Mutant> = serde_json::from_reader(File::open(list)?)?;
    if let Ok(before) = std::env::var("AGAIN") {
        let missed = missed_in(&std::fs::read_to_string(before)?)?;
        mutants.retain(|mutant| missed.contains(without_position(&mutant.name).as_str()));
    }
    println!("{} mutants", mutants.len());

    let (keep, built) = (std::env::var_os("KEEP").is_some(), tree.join("built.json"));
    let outcomes: Vec<Option<Outcome>> = if keep {
        let mut outcomes: Vec<Option<Outcome>> = serde_json::from_reader(File::open(built)?)?;
        known(Path::new(results), &mutants, &mut outcomes)?;
        outcomes
    } else {
        let mut outcomes = vec![None; mutants.len()];
        tree::write(tree, &mutants, &mut outcomes)?;
        serde_json::to_writer(File::create(built)?, &outcomes)?;
        outcomes
    };
    let unit = Tests::prepare(tree, Kind::Unit, mutants.len(), keep)?;

    let out = Mutex::new(File::create(results)?);
    let tell = |id: usize, outcome: &Outcome| {
        let line = Line { name: &mutants[id].name, outcome };
        let line = serde_json::to_string(&line).expect("a line is plain data");
        writeln!(out.lock().unwrap(), "{line}").expect("the results are written");
    };
    outcomes
        .iter()
        .enumerate()
        .filter_map(|(id, outcome)| Some((id, outcome.as_ref()?)))
        .for_each(|(id, o)| tell(id, o));
    let is_viable = |id: &usize| !matches!(outcomes[*id], Some(Outcome::Unviable(_) | Outcome::NotTried(_)));
    let mut order: Vec<usize> = (0..mutants.len()).filter(is_viable).collect();
    // In an order independent of the source, so that the mutants tried before the time limit are a fair sample.
    order.sort_by_key(|id| {
        let first = FIRST.iter().any(|folder| mutants[*id].file.starts_with(folder));
        (!first, id.wrapping_mul(2_654_435_761) % 65_521)
    });
    let is_open = |id: &usize| matches!(outcomes[*id], None | Some(Outcome::Survived));
    let mut todo: Vec<usize> = order.iter().copied().filter(is_open).collect();
    let (begun, minutes) = (Instant::now(), number("MINUTES", 6000) as u32);
    let most = number("GATE_TESTS", 24);
    // Half of the time is for the process tests.
    let half = begun + Duration::from_secs(60) * minutes / if most > 0 { 2 } else { 1 };
    let end = begun + Duration::from_secs(60) * minutes;
    let outcomes = Mutex::new(outcomes);
    let each = |todo: &[usize], end: Instant, attempt: &(dyn Fn(usize, usize) -> Outcome + Sync)| {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for worker in 0..number("JOBS", 2) {
                let (next, outcomes, tell) = (&next, &outcomes, &tell);
                scope.spawn(move || {
                    while Instant::now() < end
                        && let Some(id) = todo.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        let outcome = attempt(*id, worker);
                        tell(*id, &outcome);
                        outcomes.lock().unwrap()[*id] = Some(outcome);
                    }
                });
            }
        });
    };
    let whole = std::thread::scope(|scope| {
        // Building these and recording what they reach takes long.
        let whole = || Tests::prepare(tree, Kind::Whole, mutants.len(), keep).map_err(|e| e.to_string());
        let whole = (most > 0).then(|| scope.spawn(whole));
        let fresh: Vec<usize> =
            todo.iter().copied().filter(|id| outcomes.lock().unwrap()[*id].is_none()).collect();
        each(&fresh, half, &|id, worker| unit.attempt_all(id, worker).unwrap_or(Outcome::Survived));
        whole.map(|whole| whole.join().unwrap_or_else(|_| Err("a thread has died".into())))
    });
    todo.retain(|id| matches!(outcomes.lock().unwrap()[*id], Some(Outcome::Survived)));
    println!("{} survive the unit tests", todo.len());
    if let Some(whole) = whole.transpose()? {
        each(&todo, end, &|id, worker| match (unit.reach(id), whole.reach(id)) {
            (false, false) => Outcome::NotReached,
            _ => whole.attempt(id, &mutants[id].file, most, worker),
        });
    }

    let mut outcomes = outcomes.into_inner()?;
    if most > 0 {
        // After the first mutant that was not run with all tests the rest is not a fair sample: only its survivors are missing.
        let tried = |id: &&usize| !matches!(outcomes[**id], None | Some(Outcome::Survived));
        let sample = order.iter().take_while(tried).count();
        order[sample..].iter().for_each(|id| outcomes[*id] = None);
    }
    report(&mutants, &outcomes);
    Ok(())
}

/// The name of a mutant without its position, so that it stays the same when lines are added above.
fn without_position(name: &str) -> String {
    let (place, what) = name.split_once(' ').unwrap_or((name, ""));
    let file = place.split(':').next().unwrap_or_default();
    format!("{file} {what}")
}

/// Reads the results of earlier runs, as far as there are any.
fn known(results: &Path, mutants: &[Mutant], outcomes: &mut [Option<Outcome>]) -> Result<(), Box<dyn Error>> {
    #[derive(Deserialize)]
    struct Known {
        name: String,
        #[serde(flatten)]
        outcome: Outcome,
    }
    let ids: HashMap<&str, usize> = mutants.iter().enumerate().map(|(id, m)| (m.name.as_str(), id)).collect();
    for line in std::fs::read_to_string(results).unwrap_or_default().lines() {
        let Known { name, outcome } = serde_json::from_str(line)?;
        if let Some(id) = ids.get(name.as_str()) {
            outcomes[*id] = Some(outcome);
        }
    }
    Ok(())
}

/// The mutants of earlier results that no test detected.
fn missed_in(results: &str) -> Result<HashSet<String>, serde_json::Error> {
    let mut missed = HashSet::new();
    for line in results.lines() {
        let line: serde_json::Value = serde_json::from_str(line)?;
        if matches!(line["outcome"].as_str(), Some("missed" | "survived" | "not_reached")) {
            missed.insert(without_position(line["name"].as_str().unwrap_or_default()));
        }
    }
    Ok(missed)
}

/// Prints a row for each folder, and every mutant that was missed.
fn report(mutants: &[Mutant], outcomes: &[Option<Outcome>]) {
    let mut rows: BTreeMap<&str, [usize; 7]> = BTreeMap::new();
    for (mutant, outcome) in mutants.iter().zip(outcomes) {
        let folder = mutant.file.split('/').nth(1).unwrap_or_default();
        let column = match outcome {
            Some(Outcome::Caught(_)) => 0,
            Some(Outcome::TimedOut) => 1,
            Some(Outcome::Missed(_)) => 2,
            Some(Outcome::NotReached) => 3,
            Some(Outcome::Survived) => 4,
            Some(Outcome::Unviable(_)) => 5,
            Some(Outcome::NotTried(_)) | None => 6,
        };
        rows.entry(folder).or_default()[column] += 1;
        if column == 2 || column == 3 {
            println!("{}: {}", if column == 2 { "missed" } else { "not reached" }, mutant.name);
        }
    }
    println!(
        "folder: caught, ran for too long, missed, not reached, survived the unit tests and not tried with others, not viable, not tried; caught of viable"
    );
    for (folder, row) in rows {
        let [caught, slow, missed, unreached, survived, ..] = row;
        let viable = caught + slow + missed + unreached + survived;
        let share = 100.0 * (caught + slow) as f64 / viable.max(1) as f64;
        println!("{folder}: {row:?}; {share:.1} % of {viable}");
    }
}
