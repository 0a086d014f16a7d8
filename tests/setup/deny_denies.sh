#!/usr/bin/env bash
# Does deny.toml deny? A crate that depends on everything that is banned: empty crates of those names, no network.
set -euo pipefail
config=$(cd "$(dirname "$0")/../.." && pwd)/deny.toml
forbidden=(aws-lc-rs=1.13.0 aws-lc-sys=0.30.0 openssl=0.10.70 openssl-sys=0.9.100 native-tls=0.2.14 boring-sys=4.0.0
    rsa=0.9.0 pingora=0.9.0 pingora-core=0.8.1 pingora-proxy=0.9.0)
allowed=(ring=0.17.14 pingora-limits=0.9.1)

probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
crate() {
    mkdir -p "$probe/$1/src" && touch "$probe/$1/src/lib.rs"
    printf '[package]\nname = "%s"\nversion = "%s"\nedition = "2021"\nlicense = "MIT"\n' "$1" "$2" >"$probe/$1/Cargo.toml"
}
crate probe 0.1.0
printf '[workspace]\n[dependencies]\n' >>"$probe/probe/Cargo.toml"
for entry in "${forbidden[@]}" "${allowed[@]}"; do
    crate "${entry%=*}" "${entry#*=}"
    printf '%s = { path = "../%s", version = "%s" }\n' "${entry%=*}" "${entry%=*}" "${entry#*=}" >>"$probe/probe/Cargo.toml"
done

if said=$(cargo deny --offline --color never --manifest-path "$probe/probe/Cargo.toml" --config "$config" check bans 2>&1); then
    echo "deny.toml denies nothing" >&2
    exit 1
fi
is_banned() { grep -qE "error\[banned\]: crate '$1 = " <<<"$said"; }
for entry in "${forbidden[@]}"; do
    is_banned "${entry%=*}" || { echo "deny.toml lets ${entry} pass" >&2; exit 1; }
done
for entry in "${allowed[@]}"; do
    ! is_banned "${entry%=*}" || { echo "deny.toml denies ${entry}" >&2; exit 1; }
done
