#!/usr/bin/env bash
# cargo-deny: bans, licences and sources always; advisories where the advisory database can be downloaded.
set -euo pipefail

if ! cargo deny --version >/dev/null 2>&1; then
    echo "Installing cargo-deny (a few minutes, once)"
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
        cargo install cargo-deny --version 0.20.2 --locked --quiet
fi
cargo deny --log-level error check bans licenses sources
"$(dirname "$0")/deny_denies.sh"

out=$(mktemp)
if cargo deny check advisories >"$out" 2>&1; then
    echo "advisories ok"
elif grep -qiE 'failed to fetch|fetch advisory database|could not (connect|resolve)' "$out"; then
    echo "advisories NOT checked: the advisory database cannot be reached from here"
else
    cat "$out"
    exit 1
fi
rm -f "$out"
