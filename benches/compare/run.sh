#!/usr/bin/env bash
# make bench: the gate as it is released beside bare Pingora and nginx, on this machine. Arguments go to driver.py (--help).
set -euo pipefail
cd "$(dirname "$0")/../.."

for argument; do
    case $argument in -h | --help) exec python3 -B benches/compare/driver.py --help ;; esac
done
tests/setup/packages.sh wrk nginx-light
PATH=$PATH:/usr/sbin
release=target/release
"${CARGO:-cargo}" build --release --example bare --target-dir target
make target/release/wecom-gate
# Bare Pingora with the gate's profile: how much the profile gains for any program.
rm -f "$release/examples/bare-same-profile"
if [ -f target/profile/wecom-gate.profdata ]; then
    host=$(rustc -vV | sed -n 's/^host: //p')
    RUSTFLAGS="-Cprofile-use=$PWD/target/profile/wecom-gate.profdata ${RUSTFLAGS:-}" \
        "${CARGO:-cargo}" build --release --example bare --target "$host" --target-dir target/profile
    cp "target/profile/$host/release/examples/bare" "$release/examples/bare-same-profile"
fi
exec python3 -B benches/compare/driver.py --binaries "$release" "$@"
