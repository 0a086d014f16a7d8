#!/usr/bin/env bash
# Installs the named Debian packages and the C and C++ toolchain (cmake for zlib-ng, python3 for npm's sqlite3) unless they are
# installed. Needs root only when something is missing.
set -euo pipefail

missing=()
for package in g++ make cmake python3 curl ca-certificates "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "Installing Debian packages: ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "Run as root, or install by hand: ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
fi
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
if ! { "${as_root[@]}" apt-get update -qq && "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "apt-get failed; the whole log is $log" >&2
    exit 1
fi
rm -f "$log"
# Debian starts servers when it installs them; the tests start their own.
for service in nginx haproxy caddy redis-server prometheus postgresql; do
    if [ -x "/etc/init.d/$service" ] && printf '%s\n' "${missing[@]}" | grep -q "$service"; then
        "${as_root[@]}" "/etc/init.d/$service" stop >/dev/null 2>&1 || true
    fi
done
