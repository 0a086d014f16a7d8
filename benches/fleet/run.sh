#!/usr/bin/env bash
# make fleet: several gates, HAProxy, Redis, a NocoBase of known capacity and thousands of people, in trouble of every kind.
#
#   benches/fleet/run.sh [--quick] [--only SCENARIO]...     arguments go to fleet.py (--help)
#
# WECOM_GATE_BIN: a gate that is built already. PROFILE=dev: everything else unoptimised, as tests have built it; --quick does that.
# The load comes from vegeta (load.py has the reason), which is built once from its module: it needs go. HAProxy and Redis are Debian's.
set -euo pipefail
cd "$(dirname "$0")/../.."

profile=${PROFILE:-release}
for argument; do
    case $argument in
        -h | --help) exec python3 -B benches/fleet/fleet.py --help ;;
        --quick) profile=${PROFILE:-dev} ;;
    esac
done
tests/setup/packages.sh haproxy redis-server
PATH=$PATH:/usr/sbin
vegeta="${XDG_CACHE_HOME:-$HOME/.cache}/wecom-gate/vegeta"
if [ ! -x "$vegeta/vegeta" ]; then
    GOBIN="$vegeta" GOFLAGS=-mod=mod go install github.com/tsenart/vegeta/v12@v12.13.0
fi
target="${CARGO_TARGET_DIR:-target}"
# The whole workspace: with the same features of dependencies as its tests.
"${CARGO:-cargo}" build --quiet --workspace --bins --example people
tools=$target/debug
program=${WECOM_GATE_BIN:-$target/debug/wecom-gate}
if [ "$profile" != dev ]; then
    # Optimised, but without the long link of the released program. The people's cookies are made before a scenario begins.
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        "${CARGO:-cargo}" build --quiet --release --target-dir "$target/fleet" -p nocobase-standin -p wecom-sim --bins
    tools=$target/fleet/release
    mkdir -p "$tools/examples"
    cp "$target/debug/examples/people" "$tools/examples/"
    if [ -z "${WECOM_GATE_BIN:-}" ]; then
        make target/release/wecom-gate
        program=target/release/wecom-gate
    fi
fi
exec python3 -B benches/fleet/fleet.py --program "$program" --tools "$tools" --vegeta "$vegeta/vegeta" "$@"
