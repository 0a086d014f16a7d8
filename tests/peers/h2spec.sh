#!/usr/bin/env bash
# Runs h2spec (https://github.com/summerwind/h2spec) against the gate: does its HTTP/2 conform to RFC 9113 and RFC 7541?
# Needs go and python3; h2spec is built from its module once.
#
#   tests/peers/h2spec.sh [ARGUMENTS OF h2spec...]     default: the generic cases and those of the two RFCs
set -euo pipefail
cd "$(dirname "$0")/../.."
cache="${XDG_CACHE_HOME:-$HOME/.cache}/wecom-gate/h2spec"
if [ ! -x "$cache/h2spec" ]; then
    mkdir -p "$cache"
    GOBIN="$cache" GOFLAGS=-mod=mod go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible
fi
"${CARGO:-cargo}" build --quiet --bin wecom-gate
gate="${CARGO_TARGET_DIR:-target}/debug/wecom-gate"

dir=$(mktemp -d)
running=()
trap 'kill "${running[@]}" 2>/dev/null || true; rm -rf "$dir"' EXIT

python3 tests/peers/upstream.py >"$dir/upstream" &
running+=($!)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$dir/key.pem" -out "$dir/cert.pem" 2>/dev/null
until [ -s "$dir/upstream" ]; do sleep 0.1; done
cat >"$dir/gate.toml" <<CONF
origin = "https://localhost:$port"
[listen]
https = ["127.0.0.1:$port"]
cert = "$dir/cert.pem"
key = "$dir/key.pem"
[upstream]
nodes = ["$(cat "$dir/upstream")"]
[nocobase]
jwt_secret = "nothing-is-signed-here-nothing-at-all"
service_user = 1
[[wecom]]
corp_id = "ww0123456789abcdef"
agent_id = "1000002"
secret = "no-call-is-made-with-this-one"
[access]
public = ["GET /", "HEAD /", "POST /", "OPTIONS /"]
[session]
keys = ["$(python3 -c 'import base64, os; print(base64.b64encode(os.urandom(64)).decode())')"]
CONF
"$gate" run --conf "$dir/gate.toml" >"$dir/log" 2>&1 &
running+=($!)
for _ in $(seq 100); do
    grep -q '"listening"' "$dir/log" && break
    sleep 0.1
done
if ! "$cache/h2spec" -t -k -h localhost -p "$port" -P / --timeout 5 "$@"; then
    echo "the gate's log:" >&2
    tail -n 20 "$dir/log" >&2
    exit 1
fi
