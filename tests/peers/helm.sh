#!/usr/bin/env bash
# The real helm on the chart: lint, and rendering with several values. Builds helm from its Go module if it is not installed.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache="${XDG_CACHE_HOME:-$HOME/.cache}/wecom-gate/helm"
helm=$(command -v helm || echo "$cache/helm")
if [ ! -x "$helm" ]; then
    command -v go >/dev/null || { echo "helm.sh: needs helm, or go to build it" >&2; exit 1; }
    echo "building helm (a few minutes, once)"
    GOBIN="$cache" go install helm.sh/helm/v3/cmd/helm@v3.22.0
fi
chart=conf/helm
# Built from its module, helm takes itself for a client of Kubernetes 1.20, which the chart refuses.
kubernetes=(--kube-version 1.31.0)
"$helm" lint --strict "${kubernetes[@]}" "$chart"
out=$(mktemp -d)
trap 'rm -r "$out"' EXIT
render() { # name, then values
    local name=$1
    shift
    "$helm" template gate "$chart" "${kubernetes[@]}" "$@" >"$out/$name.yaml"
}
has() { grep -qE -- "$2" "$out/$1.yaml" || { echo "$1: no line $2" >&2; exit 1; }; }
hasnt() { ! grep -qE -- "$2" "$out/$1.yaml" || { echo "$1: a line $2" >&2; exit 1; }; }

render default
for kind in ConfigMap Deployment Service PodDisruptionBudget NetworkPolicy; do has default "^kind: $kind$"; done
has default 'value: "redis://gate-wecom-gate-redis:6379/0"'
hasnt default '^kind: (Ingress|ServiceMonitor|Secret)$'

render one --set replicas=1 --set redis.enabled=false
hasnt one '^kind: PodDisruptionBudget$|REDIS'

render all --set ingress.enabled=true --set ingress.tlsSecretName=tls --set serviceMonitor.enabled=true \
    --set redis.existingUrlSecret=redis --set origin=https://nb.example.org:8443 --set 'nocobase.trustedProxies={10.0.0.0/8,fd00::/8}'
has all '^kind: Ingress$'
has all '^kind: ServiceMonitor$'
has all '^  clusterIP: None$'
has all '- host: "nb.example.org"'
has all 'value: "10.0.0.0/8,fd00::/8"'
has all 'secretKeyRef: \{ name: redis, key: url \}'
hasnt all 'gate-wecom-gate-redis'

# A changed configuration replaces the pods.
render other --set 'config=[nocobase]'
sum() { sed -n 's|.*checksum/config: ||p' "$out/$1.yaml"; }
[ "$(sum default)" != "$(sum other)" ] || { echo "the pods stay when the configuration changes" >&2; exit 1; }
! "$helm" template gate "$chart" "${kubernetes[@]}" --set ingress.enabled=true --set origin=nonsense >/dev/null 2>&1 \
    || { echo "an origin without a host is accepted" >&2; exit 1; }
echo "the chart is right"
