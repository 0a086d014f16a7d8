#!/usr/bin/env bash
# The Debian package in a clean Debian root: installed, configured with `init`, a member's first tap in Chromium, its audit log rotated,
# upgraded under load, removed, purged. As root.
#
#   make test-package          (makes the package first)
#   tests/package.sh OLD.deb NEW.deb
#
# Nothing on this machine is changed: everything happens below a temporary folder, which is removed at the end. The root shares
# this machine's network, where the WeCom simulator and a real NocoBase run for it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
old=$(readlink -f "$1") new=$(readlink -f "$2")
suite=${SUITE:-bookworm}
simulator=${WECOM_SIM_BIN:-$here/target/debug/wecom-sim}
nocobase=${WECOM_GATE_NOCOBASE:-${XDG_CACHE_HOME:-$HOME/.cache}/wecom-gate/nocobase-2.2.15}
base=${XDG_CACHE_HOME:-$HOME/.cache}/wecom-gate/debian-$suite.tar
[ "$(id -u)" -eq 0 ] || { echo "as root, please: a chroot is needed" >&2; exit 1; }

work=$(mktemp -d /tmp/wecom-gate-package.XXXXXX)
root=$work/root
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    # What still runs in the root, such as a gate after a failed test.
    for exe in /proc/[0-9]*/root; do
        [ "$(readlink "$exe" 2>/dev/null)" = "$root" ] || continue
        pid=${exe#/proc/}
        kill -KILL "${pid%/root}" 2>/dev/null || true
    done
    wait 2>/dev/null || true
    umount "$root/proc" 2>/dev/null || true
    rm -rf --one-file-system "$work"
}
trap cleanup EXIT
say() { printf '\n== %s\n' "$*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# Waits for a command to succeed, for at most a minute.
until_ok() {
    for _ in $(seq 600); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
    fail "after a minute: $*"
}

say "A clean Debian ($suite)"
if [ ! -e "$base" ]; then
    mkdir -p "$(dirname "$base")"
    debootstrap --variant=minbase --include=ca-certificates "$suite" "$work/fresh" >"$work/debootstrap.log" 2>&1 ||
        { tail -n 20 "$work/debootstrap.log" >&2; fail "debootstrap"; }
    tar -C "$work/fresh" --one-file-system -cf "$base.new" . && mv "$base.new" "$base"
    rm -rf "$work/fresh"
fi
mkdir "$root" && tar -C "$root" -xf "$base"
mount -t proc proc "$root/proc"
cp "$old" "$root/tmp/old.deb" && cp "$new" "$root/tmp/new.deb"

say "WeCom simulator and NocoBase"
gate=$(free_port) sim=$(free_port) nb=$(free_port)
"$simulator" --listen "127.0.0.1:$sim" --app-origin "http://127.0.0.1:$gate" >"$work/sim.log" 2>&1 &
pids+=($!)
key=$(head -c 24 /dev/urandom | base64 | tr -d '/+=')
"$here/demo/nocobase.sh" start "$nocobase" "$work/nocobase" "$nb" "$key" >"$work/nocobase.log" 2>&1 &
pids+=($!)
npm --prefix "$here/tests/browser" ci --no-audit --no-fund --loglevel=error
until_ok grep -q 'ready at' "$work/nocobase.log"

say "Command 1: install"
began=$SECONDS
inside apt-get install -y -qq /tmp/old.deb >"$work/apt.log" 2>&1 || { cat "$work/apt.log" >&2; fail "apt-get install"; }
inside getent passwd wecom-gate >/dev/null || fail "no user"
[ "$(stat -c '%a %U' "$root/etc/wecom-gate")" = '750 root' ] || fail "modes of /etc/wecom-gate"
[ "$(inside stat -c '%a %U %G' /etc/wecom-gate/wecom-gate.example.toml)" = '640 root wecom-gate' ] || fail "modes of the example"
inside dpkg-query -W -f='${Conffiles}' wecom-gate | grep -q wecom-gate.example.toml || fail "the example is no conffile"
for file in usr/bin/wecom-gate usr/lib/systemd/system/wecom-gate.service usr/lib/systemd/system/wecom-gate.socket \
    usr/share/man/man1/wecom-gate.1.gz usr/share/man/man1/wecom-gate-init.1.gz \
    usr/share/bash-completion/completions/wecom-gate usr/share/zsh/vendor-completions/_wecom-gate \
    usr/share/fish/vendor_completions.d/wecom-gate.fish; do
    # A minimal Debian may exclude manual pages and documents.
    [ -e "$root/$file" ] || grep -qs man "$root"/etc/dpkg/dpkg.cfg.d/* || fail "$file is not there"
done
grep -q /usr/bin/wecom-gate "$root/usr/lib/systemd/system/wecom-gate.service" || fail "the unit starts another program"
# Messages with a path show the package's, not that of the machine which built it.
! grep -aqF "${CARGO_HOME:-$HOME/.cargo}/" "$root/usr/bin/wecom-gate" || fail "the program shows where its builder keeps crates"
! grep -q /usr/local "$root/usr/lib/systemd/system/wecom-gate.service" || fail "the unit starts another program"

say "Command 2: init"
secret=$(curl -fsS "http://127.0.0.1:$sim/sim/data" | python3 -c '
import json, sys
for c in json.load(sys.stdin)["companies"]:
    for a in c["apps"]:
        if c["corp_id"] == "ww0123456789abcdef" and a["agent_id"] == 1000002: print(a["secret"])')
inside WECOM_GATE_INIT_NOCOBASE_PASSWORD=admin123 WECOM_GATE_INIT_SECRET="$secret" \
    wecom-gate init --yes --origin "http://127.0.0.1:$gate" --listen "127.0.0.1:$gate" --nocobase "127.0.0.1:$nb" \
    --nocobase-account admin@nocobase.com --corp-id ww0123456789abcdef --agent-id 1000002 --accounts create \
    --api-base "http://127.0.0.1:$sim" --authorize-url "http://127.0.0.1:$sim/connect/oauth2/authorize" \
    --web-login-url "http://127.0.0.1:$sim/wwlogin/sso/login" | tee "$work/init.log" | tail -n 30
# NocoBase's secret was not given: it was found in the environment of the process on this machine.
grep -q 'found in' "$work/init.log" || fail "NocoBase's secret was not found"
for file in app_key secret session.key wecom-gate.toml; do
    [ "$(inside stat -c '%a %U %G' "/etc/wecom-gate/$file")" = '640 root wecom-gate' ] || fail "modes of $file"
done

say "Command 3: start (by hand, as the unit does: there is no systemd here)"
sed -i 's/^#ops = .*/ops = "127.0.0.1:0"/' "$root/etc/wecom-gate/wecom-gate.toml"
# What systemd makes by the unit's LogsDirectory.
inside install -d -m 750 -o wecom-gate -g wecom-gate /var/log/wecom-gate
audit=/var/log/wecom-gate/audit.log
run() { inside WECOM_GATE__LOG__AUDIT_FILE=$audit setpriv --reuid=wecom-gate --regid=wecom-gate --clear-groups /usr/bin/wecom-gate run --conf /etc/wecom-gate/wecom-gate.toml; }
run >"$work/gate.log" 2>&1 &
pids+=($!)
until_ok grep -q '"listening".*"http"' "$work/gate.log"
status=$(curl -s -o /dev/null -w '%{http_code}' -A 'Mozilla/5.0 wxwork/4.1.30 MicroMessenger/7.0.1' \
    -H 'Accept: text/html' "http://127.0.0.1:$gate/admin")
[ "$status" = 302 ] || fail "no redirect to WeCom: $status"

say "A member's first tap"
node "$here/tests/browser/first_tap.mjs" "http://127.0.0.1:$sim" "http://127.0.0.1:$gate" 'Li Si' '李四'
took=$((SECONDS - began))
echo "3 commands, $took s from the installation to NocoBase"
[ "$took" -lt 120 ] || fail "it took longer than two minutes"

say "nginx in front, as the README says"
# Debian would start it at once, on port 80 of this machine.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" && chmod +x "$root/usr/sbin/policy-rc.d"
{ inside apt-get update -qq && inside apt-get install -y -qq --no-install-recommends nginx-light; } >"$work/apt.log" 2>&1 ||
    { cat "$work/apt.log" >&2; fail "apt-get install nginx-light"; }
front=$(free_port)
cp "$root/usr/share/doc/wecom-gate/examples/nginx-in-front.conf" "$root/etc/nginx/conf.d/"
sed -i "s/listen 80;/listen 127.0.0.1:$front;/; s/127.0.0.1:8080/127.0.0.1:$gate/; s/nocobase.example.com/127.0.0.1/" \
    "$root/etc/nginx/conf.d/nginx-in-front.conf"
rm "$root/etc/nginx/sites-enabled/default"
inside nginx -g 'daemon off;' >"$work/nginx.log" 2>&1 &
pids+=($!)
through() {
    curl -s -o /dev/null -w '%{http_code}' -A 'Mozilla/5.0 wxwork/4.1.30 MicroMessenger/7.0.1' -H 'Accept: text/html' \
        -H "Host: 127.0.0.1:$gate" "http://127.0.0.1:$front/admin"
}
redirects() { [ "$(through)" = 302 ]; }
until_ok redirects

say "The audit log is rotated"
until_ok grep -q '"action":"sign_in"' "$root$audit"
inside apt-get install -y -qq --no-install-recommends logrotate >/dev/null 2>&1
# There is no systemd here that would send SIGHUP. Other gates may run on this machine: it goes to the one of this root.
for exe in /proc/[0-9]*/exe; do
    [ "$(readlink "$exe" 2>/dev/null)" = "$root/usr/bin/wecom-gate" ] && pid=${exe#/proc/} && pid=${pid%/exe}
done
sed "s/systemctl reload wecom-gate.service/kill -HUP $pid/" "$here/conf/wecom-gate.logrotate" >"$root/etc/logrotate.d/wecom-gate"
chmod 644 "$root/etc/logrotate.d/wecom-gate"
inside logrotate --force /etc/logrotate.d/wecom-gate
until_ok test -e "$root$audit"
[ "$(inside stat -c '%a %U' "$audit")" = '600 wecom-gate' ] || fail "modes of the new audit log"
grep -q '"action":"sign_in"' "$root$audit.1" || fail "the old lines are not in $audit.1"
! grep -q '"action":"sign_in"' "$root$audit" || fail "the new file has the old lines"

say "Upgrade under load"
requests() {
    while [ ! -e "$work/enough" ]; do
        curl -s -o /dev/null -m 10 -w '%{http_code}\n' "http://127.0.0.1:$gate/wecom-gate/me" || echo lost
    done
}
requests >"$work/codes.1" & first=$!
requests >"$work/codes.2" & second=$!
until_ok test -s "$work/codes.1"
inside dpkg -i /tmp/new.deb
until_ok grep -q 'the new process serves from now on' "$work/gate.log"
until_ok grep -q '"event":"stopped"' "$work/gate.log"
served=$(wc -l <"$work/codes.1")
# Some more from the new process.
until_ok eval '[ "$(wc -l <"$work/codes.1")" -gt $((served + 20)) ]'
touch "$work/enough"
wait "$first" "$second"
answered=$(cat "$work"/codes.* | wc -l)
lost=$(cat "$work"/codes.* | grep -vcx 401 || true)
[ "$lost" -eq 0 ] || fail "$lost of $answered requests were lost: $(cat "$work"/codes.* | sort | uniq -c)"
echo "$answered requests during the upgrade, none lost"
[ -e "$root/etc/wecom-gate/session.key" ] || fail "the upgrade removed a secret"

say "Removal"
inside dpkg -r wecom-gate
[ ! -e "$root/usr/bin/wecom-gate" ] || fail "the program is still there"
! curl -s -o /dev/null "http://127.0.0.1:$gate/" || fail "the gate still runs"
[ -e "$root/etc/wecom-gate/wecom-gate.toml" ] || fail "a removal keeps the configuration"

say "Purge"
inside dpkg -P wecom-gate
[ ! -e "$root/etc/wecom-gate" ] || fail "the configuration is still there"
! inside getent passwd wecom-gate >/dev/null || fail "the user is still there"

say "Installed, set up, upgraded, removed, purged."
