#!/usr/bin/env bash
# Changes the code of folders of src/ in many small ways (cargo-mutants lists them) and lists the changes that no test detects.
#
#   tests/setup/mutants.sh FOLDERS [SHARD]
#
# FOLDERS are folders of src/ separated by commas. SHARD is K/N: the K-th of N equal samples, from 0; without it, every mutant.
# tests/setup/mutants.toml has the reasons why mutants are left out. Results: target/mutants/RESULTS.jsonl, one line per mutant.
#
# All mutants are compiled together, inactive, in a copy of the repository (target/mutants/tree); MUTANT=7 activates the seventh.
# Each is run with the tests that reach it: the unit tests, then at most GATE_TESTS (24) of those in tests/gate; 0 skips these.
# JOBS (2) run at once.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
folders=${1:?folders of src/}
shard=()
[ -z "${2:-}" ] || shard=(--shard "$2" --sharding round-robin)
version=27.1.0
if ! cargo mutants --version >/dev/null 2>&1; then
    echo "Installing cargo-mutants (a few minutes, once)"
    cargo install cargo-mutants --version "$version" --locked --quiet
fi
here=$root/target/mutants
# A separate folder: another build of the same tests would replace this one while it is used.
export CARGO_TARGET_DIR=$here/target
tree=$here/tree
results=$here/results.jsonl

if [ -z "${KEEP:-}" ]; then
    mkdir -p "$tree"
    find "$tree" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
    git ls-files -z --cached --others --exclude-standard |
        while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
        tar -c --null -T - | tar -x -m -C "$tree"
    cd "$tree"
    files=()
    for folder in ${folders//,/ }; do files+=(--file "src/$folder/**" --file "src/$folder.rs"); done
    cargo mutants --list --json "${files[@]}" "${shard[@]}" --config "$root/tests/setup/mutants.toml" >"$here/list.json"

    # Mutated code does not pass the lints.
    sed -i '/^\[lints\]/,/^$/d' Cargo.toml
    # A gate that a test starts with a clean environment must get the active mutant.
    find tests/gate -name '*.rs' -exec sed -i \
        's/\.env_clear()/.env_clear().envs(std::env::vars().filter(|(name, _)| name.starts_with("MUTANT")))/' {} +
    # A property that a mutant breaks nearly always fails within the first few cases.
    find src -name '*.rs' -exec sed -i -E 's/with_cases\([0-9_]+\)/with_cases(64)/' {} +
fi
export PROPTEST_CASES=64

# Not with `cargo run`: the variables that it sets would rebuild libraries.
cargo build --quiet --manifest-path "$root/tests/mutants/Cargo.toml"
"$CARGO_TARGET_DIR/debug/wecom-gate-mutants" "$tree" "$here/list.json" "$results"
