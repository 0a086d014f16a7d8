#!/usr/bin/env bash
# Changes the code of one folder in many small ways (cargo-mutants) and says which changes no unit test notices.
#
#   tests/setup/mutants.sh FOLDER [SHARD] [ARGUMENTS OF cargo mutants...]
#
# FOLDER is a folder of src/. SHARD is K/N: of N equal samples the K-th, from 0; without it, every mutant. Samples are the same each time.
# Why a mutant is left out is said in tests/setup/mutants.toml. Results: target/mutants/FOLDER/mutants.out.
#
# So that a mutant costs seconds and not a minute, the folder is tested as a crate of its own, made of copies in target/mutants/FOLDER: the
# folder itself, and beside it a crate `rest` of the modules that it may import (the table in docs/architecture.md), which is compiled once.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
folder=${1:?a folder of src/}
shift
shard=()
if [[ ${1:-} =~ ^[0-9]+/[0-9]+$ ]]; then
    shard=(--shard "$1" --sharding round-robin)
    shift
fi
version=27.1.0
if ! cargo mutants --version >/dev/null 2>&1; then
    echo "Installing cargo-mutants (a few minutes, once)"
    cargo install cargo-mutants --version "$version" --locked --quiet
fi

# The modules that module $1 may import.
imports() {
    awk -F'|' -v module="\`$1\`" '
        /^## / { here = /Which module may import which/ }
        here && index($2, module) { gsub(/[`,]/, " ", $3); print $3 }' docs/architecture.md
}

declare -A rest=()
collect() {
    local module
    for module in $(imports "$1"); do
        [ -z "${rest[$module]:-}" ] || continue
        rest[$module]=1
        collect "$module"
    done
}
collect "$folder"

# Copies module $1 into the crate $2.
copy() {
    mkdir -p "$2/src"
    for part in "src/$1" "src/$1.rs"; do
        [ ! -e "$part" ] || cp -r --preserve=timestamps "$part" "$2/src/"
    done
}

# Sections of Cargo.toml whose headers match $1; of dependencies those that the sources in $2 name.
sections() {
    awk -v wanted="$1" '/^\[/ { here = $0 ~ wanted } here' Cargo.toml |
        sed -E "s#path = \"(sim|tests/standin)\"#path = \"$root/\1\"#; /^(default-run|members) =/d" |
        while IFS= read -r line; do
            name=${line%%[ .=]*}
            if [ -z "${2:-}" ] || [[ $line == "["* ]] || grep -rqw --include='*.rs' "${name//-/_}" "$2"; then echo "$line"; fi
        done
}

crate=$root/target/mutants/$folder
rm -rf "$crate/src" "$crate/rest/src"
copy "$folder" "$crate"
for module in "${!rest[@]}"; do copy "$module" "$crate/rest"; done
# What is visible in one crate is to be visible in both.
find "$crate/rest/src" -name '*.rs' -exec sed -i 's/pub(crate)/pub/' {} +
# A property that a mutant breaks is nearly always broken by the first few cases.
find "$crate/src" -name '*.rs' -exec sed -i -E 's/with_cases\([0-9_]+\)/with_cases(64)/' {} +
export PROPTEST_CASES=64
{
    echo '#![allow(warnings)]'
    [ ${#rest[@]} -eq 0 ] || printf 'pub use rest::%s;\n' "${!rest[@]}"
    echo "pub mod $folder;"
} >"$crate/src/lib.rs"
{
    echo '#![allow(warnings)]'
    [ ${#rest[@]} -eq 0 ] || printf 'pub mod %s;\n' "${!rest[@]}"
} >"$crate/rest/src/lib.rs"
{
    sections '^\[(workspace|workspace.package|workspace.dependencies|package|lib|profile.*)\]' |
        sed -E 's/^\[workspace\]/&\nmembers = ["rest"]/; s/^name = "wecom-gate"/name = "gate-'"$folder"'"/'
    sections '^\[dev-dependencies\]' "$crate/src"
    sections '^\[dependencies\]' "$crate/src"
    echo "rest = { path = \"rest\", package = \"rest-$folder\" }"
    printf '[profile.dev.package."gate-%s"]\ndebug = false\n' "$folder"
} >"$crate/Cargo.toml"
{
    sections '^\[package\]' | sed "s/^name = .*/name = \"rest-$folder\"/"
    printf '[lib]\nname = "rest"\n'
    sections '^\[dependencies\]' "$crate/rest/src"
} >"$crate/rest/Cargo.toml"
cp Cargo.lock "$crate/Cargo.lock"
# Tests read these.
ln -sfn "$root/docs" "$crate/docs"
cp -r proptest-regressions "$crate/"

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target} PROPTEST_DISABLE_FAILURE_PERSISTENCE=true PROPTEST_MAX_SHRINK_ITERS=0
cd "$crate"
# The tests hold without a change; this also compiles what all mutants share.
cargo test --quiet --package "gate-$folder" --lib
mutants() {
    cargo mutants --in-place --package "gate-$folder" --config "$root/tests/setup/mutants.toml" --baseline skip \
        --timeout "${TIMEOUT:-300}" --colors never "$@"
}
count() { cat mutants.out/"$1".txt 2>/dev/null | wc -l; }

# First without the tests that go through all cases there are; what those let pass is tried again with them.
mutants "${shard[@]}" "$@" -- --lib -- --skip properties || true
caught=$(count caught) timeout=$(count timeout) missed=$(count missed)
if [ "$missed" -gt 0 ]; then
    first=$(<mutants.out/missed.txt)
    mapfile -t again < <(sed -E 's/[][(){}.*+?^$|\\]/\\&/g; s/^/--re=^/; s/$/$/' <<<"$first")
    mutants "${again[@]}" -- --lib || true
    # Some that were not asked for are tried again too.
    still=$(cat mutants.out/{missed,timeout}.txt | grep -cFx "$first" || true)
    caught=$((caught + missed - still)) missed=$still
fi
printf '%s: %s viable mutants, %s caught, %s missed, %s ran for too long\n' \
    "$folder" "$((caught + missed + timeout))" "$caught" "$missed" "$timeout"
[ "$missed" -eq 0 ]
