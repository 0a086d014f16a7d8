#!/usr/bin/env bash
# make release: builds the program twice. The first build is instrumented and runs a typical workload (tests/gate/workload.rs);
# the second is optimised with that profile. Ends with target/release/wecom-gate. If the tools are missing, it says so and builds
# once, without a profile.
#
#   benches/release/build.sh          PROFILE_SECONDS (a unit of work, 1) and REMAP (flags for rustc) come from the environment
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo=${CARGO:-cargo}
work="$PWD/target/profile"
# rustc writes and reads profiles in the format of its LLVM; a tool of the same major version can process them.
llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
host=$(rustc -vV | sed -n 's/^host: //p')

# llvm-profdata of this LLVM: from rustup, from the system, or from Debian's package if it can be installed.
find_profdata() {
    local own
    own="$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata"
    if [ -x "$own" ]; then echo "$own"; return; fi
    command -v "llvm-profdata-$llvm" || true
}

plain() {
    echo "make release: $1: building without a profile (about a tenth more CPU per request)" >&2
    RUSTFLAGS="${REMAP:-} ${RUSTFLAGS:-}" "$cargo" build --release --locked --bin wecom-gate --target-dir target
    exit 0
}

profdata=$(find_profdata)
if [ -z "$profdata" ] && apt-cache show "llvm-$llvm" >/dev/null 2>&1; then
    tests/setup/packages.sh "llvm-$llvm" || true
    profdata=$(find_profdata)
fi
if [ -z "$profdata" ] && command -v rustup >/dev/null; then
    rustup component add llvm-tools || true
    profdata=$(find_profdata)
fi
[ -n "$profdata" ] || plain "no llvm-profdata of LLVM $llvm (rustup component add llvm-tools, or Debian's llvm-$llvm)"

rm -rf "$work/counts" && mkdir -p "$work/counts"
echo "make release: 1 of 4: the program that counts"
# With --target, the flags apply to the program only, not to build scripts and macros.
RUSTFLAGS="${REMAP:-} -Cprofile-generate=$work/counts ${RUSTFLAGS:-}" \
    "$cargo" build --release --locked --bin wecom-gate --target "$host" --target-dir "$work"
echo "make release: 2 of 4: its work"
"$cargo" build --locked -p wecom-gate --bin wecom-gate
WECOM_GATE_BIN="$work/$host/release/wecom-gate" WECOM_GATE_WORKLOAD_SECONDS=${PROFILE_SECONDS:-1} \
    "$cargo" test --locked -p wecom-gate --test gate -- --nocapture workload_of_a_company
echo "make release: 3 of 4: what was counted"
"$profdata" merge -o "$work/wecom-gate.profdata" "$work/counts"
echo "make release: 4 of 4: the program"
RUSTFLAGS="${REMAP:-} -Cprofile-use=$work/wecom-gate.profdata ${RUSTFLAGS:-}" \
    "$cargo" build --release --locked --bin wecom-gate --target "$host" --target-dir "$work"
mkdir -p target/release
cp "$work/$host/release/wecom-gate" target/release/wecom-gate
