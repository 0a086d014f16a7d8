#!/usr/bin/env bash
# Changes the code of folders of src/ in many small ways (cargo-mutants lists them) and lists the changes that no test notices.
#
#   tests/setup/mutants.sh FOLDERS [SHARD]
#
# FOLDERS are folders of src/ with commas between. SHARD is K/N: of N equal samples the K-th, from 0; without it, every mutant.
# tests/setup/mutants.toml has why a mutant is left out. Results: target/mutants/RESULTS.jsonl, one line a mutant.
#
# All mutants are compiled together, asleep, in a copy of the repository (target/mutants/tree); MUTANT=7 wakes the seventh. Each is tried with
# the tests that reach it: the unit tests, then GATE_TESTS (24) of those in tests/gate at most; 0 leaves these out. JOBS (2) are tried at once.
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
# Its own: elsewhere another build of the same tests would take the place of this one while it is used.
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

    # Asleep or not, mutants are no good style.
    sed -i '/^\[lints\]/,/^$/d' Cargo.toml
    # A gate that a test starts with a clean environment is to know what is awake.
    find tests/gate -name '*.rs' -exec sed -i \
        's/\.env_clear()/.env_clear().envs(std::env::vars().filter(|(name, _)| name.starts_with("MUTANT")))/' {} +
    # A property that a mutant breaks is nearly always broken by the first few cases.
    find src -name '*.rs' -exec sed -i -E 's/with_cases\([0-9_]+\)/with_cases(64)/' {} +
fi
export PROPTEST_CASES=64

# Not by `cargo run`: with what that puts into the environment, libraries would be built again.
cargo build --quiet --manifest-path "$root/tests/mutants/Cargo.toml"
"$CARGO_TARGET_DIR/debug/wecom-gate-mutants" "$tree" "$here/list.json" "$results"
