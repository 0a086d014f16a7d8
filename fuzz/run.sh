#!/usr/bin/env bash
# Fuzzes: run.sh SECONDS [TARGET...], each target for that long. Stable Rust; deterministic with SEED=1. Findings are stored in
# fuzz/artifacts/TARGET, the corpus in fuzz/corpus/TARGET.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:?how long, in seconds}
shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(basename -s .rs fuzz_targets/*.rs)

# The folder of the gate's own builds already contains all dependencies, in the versions of the gate's own lock file.
cp ../Cargo.lock Cargo.lock
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/../target}
RUSTC_WRAPPER=$PWD/coverage.sh cargo build --quiet "${targets[@]/#/--bin=}"

failed=()
for target in "${targets[@]}"; do
    mkdir -p "corpus/$target" "artifacts/$target"
    seeds=()
    [ -d "seeds/$target" ] && seeds=("seeds/$target")
    if ! "$CARGO_TARGET_DIR/debug/$target" "corpus/$target" "${seeds[@]}" -artifact_prefix="artifacts/$target/" \
        -seed="${SEED:-0}" -max_total_time="$seconds" -max_len="${MAX_LEN:-4096}" -timeout=10 -rss_limit_mb=1024 \
        -print_final_stats=1 >"artifacts/$target.log" 2>&1; then
        failed+=("$target")
        tail -n 40 "artifacts/$target.log"
    fi
    printf '%-20s %12s executions\n' "$target" "$(sed -n 's/^stat::number_of_executed_units: *//p' "artifacts/$target.log")"
done
[ ${#failed[@]} -eq 0 ] || { echo "found something: ${failed[*]}" >&2; exit 1; }
