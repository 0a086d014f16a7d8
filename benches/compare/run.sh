#!/usr/bin/env bash
# make bench: the gate beside bare Pingora and nginx, on this machine. Arguments go to driver.py (--help).
set -euo pipefail
cd "$(dirname "$0")/../.."

for argument; do
    case $argument in -h | --help) exec python3 -B benches/compare/driver.py --help ;; esac
done
tests/setup/packages.sh wrk nginx-light
PATH=$PATH:/usr/sbin
"${CARGO:-cargo}" build --release --bin wecom-gate --example bare
exec python3 -B benches/compare/driver.py --binaries "${CARGO_TARGET_DIR:-target}/release" "$@"
