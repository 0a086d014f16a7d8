#!/usr/bin/env bash
# Runs the Rust tests repeatedly while two other processes keep two cores busy, and prints how many runs passed. A test that waits
# for a fixed time, or reads a log before it is written, fails here sooner or later.
#
#   tests/setup/repeat.sh [RUNS] [ARGUMENTS OF cargo test...]     RUNS is 20 unless given
set -euo pipefail
cd "$(dirname "$0")/../.."
runs=${1:-20}
shift || true
logs=$(mktemp -d)

# Compile first.
"${CARGO:-cargo}" test --no-run --quiet "$@"

busy=()
for _ in 1 2; do
    (while :; do :; done) &
    busy+=($!)
done
trap 'kill "${busy[@]}" 2>/dev/null || true' EXIT

passed=0
for ((run = 1; run <= runs; run++)); do
    began=$SECONDS
    log="$logs/run-$run.log"
    if "${CARGO:-cargo}" test --no-fail-fast "$@" >"$log" 2>&1; then
        passed=$((passed + 1))
        result=passed
        rm "$log"
    else
        result="FAILED, see $log: $(grep -E '^test .* FAILED$' "$log" | cut -d' ' -f2 | sort -u | tr '\n' ' ')"
    fi
    printf 'run %s of %s: %s (%s s)\n' "$run" "$runs" "$result" "$((SECONDS - began))"
done
printf '%s of %s runs passed\n' "$passed" "$runs"
[ "$passed" -eq "$runs" ]
