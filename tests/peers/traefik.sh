#!/usr/bin/env bash
# The example for Traefik (https://traefik.io) with the real one, which is built from its module unless it is installed.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache="${XDG_CACHE_HOME:-$HOME/.cache}/wecom-gate/traefik"
version=v3.7.13
traefik=$(command -v traefik || echo "$cache/traefik")
if [ ! -x "$traefik" ]; then
    case "$(go env GOVERSION 2>/dev/null || true)" in
        "" | go1.?.* | go1.1?* | go1.2[0-5]*) echo "left out: building Traefik needs Go 1.26 or newer" && exit ;;
    esac
    echo "building Traefik (a quarter of an hour and 3 GB, once)"
    from=$(go mod download -json "github.com/traefik/traefik/v3@$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cp -r "$from/." "$work" && chmod -R u+w "$work"
    # The pages of its dashboard are not in the module; the program wants a file in their place.
    mkdir -p "$work/webui/static" && echo "no dashboard" >"$work/webui/static/index.html"
    mkdir -p "$cache"
    (cd "$work" && CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$cache/traefik" ./cmd/traefik)
fi
"$traefik" version
WECOM_GATE_TRAEFIK="$traefik" "${CARGO:-cargo}" test --test gate forward_auth::
