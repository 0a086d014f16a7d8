//! Writes the mutants into the tree, and removes those that do not compile.

use std::{collections::BTreeMap, error::Error, ops::Range, path::Path, process::Command, process::Stdio};

use serde_json::Value;

use crate::{
    Outcome,
    switch::{Mutant, switch},
};

/// Definition of `crate::mutant`.
const SWITCH: &str = r#"
/// Is this mutant awake?
#[doc(hidden)]
pub fn mutant(id: usize) -> bool {
    use std::{io::Write, sync::LazyLock, sync::atomic::{AtomicBool, Ordering}};
    static AWAKE: LazyLock<usize> =
        LazyLock::new(|| std::env::var("MUTANT").ok().and_then(|id| id.parse().ok()).unwrap_or(usize::MAX));
    static REACHED: LazyLock<Option<std::fs::File>> = LazyLock::new(|| {
        let path = std::env::var("MUTANTS_REACHED").ok()?;
        std::fs::OpenOptions::new().create(true).append(true).open(path).ok()
    });
    static SEEN: [AtomicBool; COUNT] = [const { AtomicBool::new(false) }; COUNT];
    if let Some(mut file) = REACHED.as_ref()
        && SEEN.get(id).is_some_and(|seen| !seen.swap(true, Ordering::Relaxed))
    {
        let _ = file.write_all(format!("{id}\n").as_bytes());
    }
    *AWAKE == id
}
"#;

type Regions = Vec<(Range<usize>, Vec<usize>)>;

/// Leaves in `tree` a library with all mutants that compile; the others get their outcome.
pub fn write(
    tree: &Path,
    mutants: &[Mutant],
    outcomes: &mut [Option<Outcome>],
) -> Result<(), Box<dyn Error>> {
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    for mutant in mutants {
        if !files.contains_key(mutant.file.as_str()) {
            files.insert(&mutant.file, std::fs::read_to_string(tree.join(&mutant.file))?);
        }
    }
    let library = tree.join("src/lib.rs");
    let switch_source = SWITCH.replace("COUNT", &mutants.len().to_string());
    let source = format!(
        "#![allow(warnings, arithmetic_overflow, unconditional_panic)]\n{}{switch_source}",
        std::fs::read_to_string(&library)?
    );
    std::fs::write(&library, source)?;

    for round in 1.. {
        let mut regions: BTreeMap<&str, Regions> = BTreeMap::new();
        for (file, source) in &files {
            let inside: Vec<(usize, &Mutant)> = mutants
                .iter()
                .enumerate()
                .filter(|(id, m)| m.file == *file && outcomes[*id].is_none())
                .collect();
            let switched = switch(source, &inside)?;
            for (id, reason) in switched.not_tried {
                outcomes[id] = Some(match reason {
                    "E0004" => Outcome::Unviable(reason.into()),
                    _ => Outcome::NotTried(reason.into()),
                });
            }
            std::fs::write(tree.join(file), switched.text)?;
            regions.insert(file, switched.regions);
        }
        let errors = check(tree)?;
        if errors.is_empty() {
            return Ok(());
        }
        let mut taken = 0;
        for error in &errors {
            taken += take_out(error, &regions, outcomes);
        }
        println!("round {round}: {} errors, {taken} mutants do not compile", errors.len());
        if taken == 0 {
            return Err(format!("does not compile for another reason: {}", errors[0]["rendered"]).into());
        }
    }
    Ok(())
}

/// The compiler's errors.
fn check(tree: &Path) -> Result<Vec<Value>, Box<dyn Error>> {
    let output = Command::new("cargo")
        .args(["check", "--quiet", "--lib", "--message-format", "json"])
        .current_dir(tree)
        .stderr(Stdio::inherit())
        .output()?;
    let errors = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["reason"] == "compiler-message" && line["message"]["level"] == "error")
        .map(|line| line["message"].clone())
        .filter(|message| message["spans"].as_array().is_some_and(|spans| !spans.is_empty()))
        .collect::<Vec<_>>();
    if errors.is_empty() && !output.status.success() {
        return Err("cargo check fails and names no place".into());
    }
    Ok(errors)
}

/// Records the outcome of the mutants that an error is about; returns how many.
fn take_out(error: &Value, regions: &BTreeMap<&str, Regions>, outcomes: &mut [Option<Outcome>]) -> usize {
    let mut spans: Vec<&Value> = Vec::new();
    for span in error["spans"].as_array().into_iter().flatten() {
        let mut span = span;
        spans.push(span);
        while span["expansion"]["span"].is_object() {
            span = &span["expansion"]["span"];
            spans.push(span);
        }
    }
    spans.sort_by_key(|span| span["is_primary"] != true);
    for span in spans {
        let file = span["file_name"].as_str().unwrap_or_default();
        let (Some(start), Some(end)) = (span["byte_start"].as_u64(), span["byte_end"].as_u64()) else {
            continue;
        };
        let within = |range: &Range<usize>| range.start as u64 <= start && end <= range.end as u64;
        let Some((_, ids)) = regions.get(file).and_then(|all| all.iter().find(|(range, _)| within(range)))
        else {
            continue;
        };
        let code = error["code"]["code"].as_str().unwrap_or("no code").to_string();
        // About one replacement: it is invalid. About several or the code around them: the inserted `if` is.
        let outcome = if ids.len() == 1 && !matches!(code.as_str(), "E0015" | "E0716" | "E0505" | "E0382") {
            Outcome::Unviable(code)
        } else {
            Outcome::NotTried(code)
        };
        let mut taken = 0;
        for id in ids {
            if outcomes[*id].is_none() {
                outcomes[*id] = Some(outcome.clone());
                taken += 1;
            }
        }
        if taken > 0 || ids.iter().any(|id| outcomes[*id].is_some()) {
            return taken;
        }
    }
    0
}
