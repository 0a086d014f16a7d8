#!/usr/bin/env bash
# Certificates by ACME against the real Pebble (https://github.com/letsencrypt/pebble), which is built from its module once. Needs go.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache="${XDG_CACHE_HOME:-$HOME/.cache}/wecom-gate/pebble"
if [ ! -x "$cache/pebble" ] || [ ! -x "$cache/pebble-challtestsrv" ]; then
    case "$(go env GOVERSION 2>/dev/null || true)" in
        "" | go1.?.* | go1.1?* | go1.20*) echo "left out: building Pebble needs Go 1.21 or newer" && exit ;;
    esac
    echo "building Pebble (a minute or two, once)"
    for program in pebble pebble-challtestsrv; do
        GOBIN="$cache" go install "github.com/letsencrypt/pebble/v2/cmd/$program@v2.10.3"
    done
fi
WECOM_GATE_PEBBLE="$cache" "${CARGO:-cargo}" test --test gate acme::pebble -- --ignored
