#!/usr/bin/env bash
# make bench: the gate as it is released beside bare Pingora, nginx, oauth2-proxy and mod_auth_openidc, on this machine. Needs go for
# oauth2-proxy. Arguments go to driver.py (--help):
#
#   benches/compare/run.sh                     builds what is missing, then measures (about ten minutes)
#   benches/compare/run.sh --binaries DIR      builds nothing: DIR has wecom-gate, examples/bare and examples/bare-same-profile
#   benches/compare/run.sh --quick             development builds, each part for a second: does the benchmark itself work?
set -euo pipefail
cd "$(dirname "$0")/../.."

binaries='' quick=''
for argument; do
    case $argument in
        -h | --help) exec python3 -B benches/compare/driver.py --help ;;
        --binaries*) binaries=given ;;
        --quick) quick=1 ;;
    esac
done
# apache2-bin has the program but no service that would be started.
tests/setup/packages.sh wrk nginx-light apache2-bin libapache2-mod-auth-openidc openssl
PATH=$PATH:/usr/sbin
peer="${XDG_CACHE_HOME:-$HOME/.cache}/wecom-gate/oauth2-proxy"
if [ ! -x "$peer/oauth2-proxy" ]; then
    command -v go >/dev/null || { echo "make bench: needs go to build oauth2-proxy" >&2; exit 1; }
    mkdir -p "$peer"
    (cd "$peer" && GOBIN="$peer" GOFLAGS=-mod=mod go install github.com/oauth2-proxy/oauth2-proxy/v7@v7.15.6)
fi
cargo=${CARGO:-cargo}
if [ -n "$binaries" ]; then
    exec python3 -B benches/compare/driver.py "$@"
elif [ -n "$quick" ]; then
    "$cargo" build --bin wecom-gate --example bare
    exec python3 -B benches/compare/driver.py --binaries "${CARGO_TARGET_DIR:-target}/debug" "$@"
fi
release=target/release
"$cargo" build --release --example bare --target-dir target
make target/release/wecom-gate
# Bare Pingora with the gate's profile: how much the profile gains for any program.
rm -f "$release/examples/bare-same-profile"
if [ -f target/profile/wecom-gate.profdata ]; then
    host=$(rustc -vV | sed -n 's/^host: //p')
    # The flags of make release, so that nothing is compiled twice.
    RUSTFLAGS="${REMAP:-} -Cprofile-use=$PWD/target/profile/wecom-gate.profdata ${RUSTFLAGS:-}" \
        "$cargo" build --release --locked --example bare --target "$host" --target-dir target/profile
    cp "target/profile/$host/release/examples/bare" "$release/examples/bare-same-profile"
fi
exec python3 -B benches/compare/driver.py --binaries "$release" "$@"
