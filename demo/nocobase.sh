#!/usr/bin/env bash
#
# A real NocoBase for the demo and the tests: no Docker, no global tool, nothing outside DIR and the state directory.
#
#   nocobase.sh install [DIR]                           install NocoBase (about 4 minutes and 1.2 GB, once)
#   nocobase.sh start DIR STATE_DIR PORT APP_KEY [NAME=value...] [--stop-on-eof]
#                                                       run one instance in the foreground until SIGTERM or SIGINT
#   nocobase.sh fill DIR STATE_DIR NAME=value...        create NocoBase's tables in the empty database named by DB_...
#   nocobase.sh dir                                     print the default DIR
#
# `start` prints "nocobase: ready at http://127.0.0.1:PORT..." on standard output once the health check succeeds, and ends with
# status 1 if that takes more than 300 s or the port is taken. It becomes the NocoBase process itself: one signal ends it. With
# --stop-on-eof it also ends when its standard input is closed, that is, when the process that started it with a pipe has ended
# for any reason. NAME=value are further settings of NocoBase, e.g. APP_PUBLIC_PATH=/crm/. With DB_DIALECT etc. an instance uses
# another database than its own SQLite file; `fill` prepares it.
#
# DIR defaults to ${XDG_CACHE_HOME:-$HOME/.cache}/wecom-gate/nocobase-<version>. It is shared, and only read after `install`;
# everything that an instance writes goes to its STATE_DIR (database, uploads, logs), so several instances can run from one DIR at
# once, each with its own port. A STATE_DIR that already contains a database is started as it is.
#
# The root user of a new instance: e-mail admin@nocobase.com, user name nocobase, password admin123, id 1.

set -euo pipefail

readonly VERSION=2.2.15
readonly YARN_VERSION=1.22.22
readonly SQLITE3_VERSION=5.1.7
readonly STAMP=.wecom-gate-installed        # written last: identifies exactly what was installed
RECIPE="nocobase $VERSION recipe 1 $(uname -sm)" # change the number when the recipe below changes
readonly RECIPE

say() { printf 'nocobase: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
usage() { sed -n '3,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 64; }
default_dir() { printf '%s\n' "${XDG_CACHE_HOME:-$HOME/.cache}/wecom-gate/nocobase-$VERSION"; }
have() { command -v "$1" >/dev/null 2>&1; }

# Runs "$@" with its output in $LOG and a line of progress every 10 s; on failure shows the end of the log and exits.
LOG=/dev/null
step() {
  local title=$1 dir=$2 started=$SECONDS pid size status=0
  shift 2
  say "$title"
  printf '\n=== %s\n' "$title" >>"$LOG"
  # Its own process group, so that interrupting an install also ends npm, yarn and the compilers.
  set -m
  "$@" >>"$LOG" 2>&1 </dev/null &
  pid=$!
  set +m
  trap 'kill -TERM -- "-$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; say "interrupted"; exit 130' \
    INT TERM HUP
  while kill -0 "$pid" 2>/dev/null; do
    for _ in 1 2 3 4 5 6 7 8 9 10; do
      sleep 1
      kill -0 "$pid" 2>/dev/null || break 2
    done
    size=$(du -sm "$dir" 2>/dev/null | cut -f1) || size='?'
    say "  ... $((SECONDS - started)) s, ${size:-?} MB on disk"
  done
  wait "$pid" || status=$?
  trap - INT TERM HUP
  if ((status != 0)); then
    say "FAILED after $((SECONDS - started)) s: $title (exit status $status). The last lines of the log:"
    tail -n 40 "$LOG" | sed 's/^/    /' >&2
    die "the whole log: $LOG"
  fi
  say "  done in $((SECONDS - started)) s"
}

# --- install ---------------------------------------------------------------------------------------------------------

# sqlite3 is compiled if no prebuilt binary is available.
ensure_tools() {
  { have node && have npm; } || die "Node.js (18 or newer) and npm are needed; on Debian: apt-get install nodejs npm"
  local major
  major=$(node -p 'process.versions.node.split(".")[0]')
  ((major >= 18)) || die "Node.js 18 or newer is needed, this is $(node --version)"
  local missing=()
  have g++ || missing+=(g++)
  have make || missing+=(make)
  have python3 || missing+=(python3)
  have flock || missing+=(util-linux)
  ((${#missing[@]})) || return 0
  if have apt-get && [[ $(id -u) == 0 ]]; then
    step "installing ${missing[*]} with apt-get" /var/cache/apt env DEBIAN_FRONTEND=noninteractive sh -c \
      'apt-get update && apt-get install -y --no-install-recommends "$@"' sh "${missing[@]}"
  else
    die "missing: ${missing[*]}. Install them and start again"
  fi
}

# The prefix with the headers of exactly this Node.js version, if they are on this machine; otherwise nothing.
node_headers() {
  local prefix header want
  want=$(node -p 'process.versions.node')
  for prefix in "$(node -p 'require("path").resolve(process.execPath, "../..")')" /usr /usr/local; do
    header=$prefix/include/node/node_version.h
    if [[ -r $header && -r $prefix/include/node/common.gypi ]] &&
      [[ $(awk '$2 == "NODE_MAJOR_VERSION" {a=$3} $2 == "NODE_MINOR_VERSION" {b=$3} $2 == "NODE_PATCH_VERSION" {c=$3}
                END {print a "." b "." c}' "$header") == "$want" ]]; then
      printf '%s\n' "$prefix"
      return
    fi
  done
}

# What `create-nocobase-app` would write, without the parts for NocoBase's developers. The resolutions replace versions that some
# package registries do not have.
write_project() {
  local dir=$1
  cat >"$dir/package.json" <<JSON
{
  "name": "nocobase-for-wecom-gate",
  "private": true,
  "scripts": { "nocobase": "nocobase-v1" },
  "dependencies": {
    "@nocobase/app": "$VERSION",
    "sqlite3": "$SQLITE3_VERSION",
    "pm2": "^6.0.5",
    "mysql2": "^3.14.0",
    "mariadb": "^2.5.6",
    "pg": "^8.14.1",
    "pg-hstore": "^2.3.4"
  },
  "resolutions": {
    "cytoscape": "3.28.0",
    "async": "^3.2.6",
    "semver": "^7.7.1",
    "xlsx": "npm:xlsx@0.18.5",
    "@langchain/protocol": "0.0.19",
    "@langchain/langgraph-checkpoint": "1.1.5"
  }
}
JSON
}

yarn_install() {
  local dir=$1 headers registry cafile
  cd "$dir"
  # yarn uses its own registry by default: set it to npm's.
  registry=$(npm config get registry)
  cafile=$(npm config get cafile 2>/dev/null || true)
  [[ -z $cafile || $cafile == null || $cafile == undefined ]] || export npm_config_cafile=$cafile
  headers=$(node_headers)
  if [[ -n $headers ]]; then
    export npm_config_nodedir=$headers npm_config_build_from_source=true
  else
    unset npm_config_nodedir # sqlite3's own installer downloads a binary, or the headers
  fi
  export YARN_CACHE_FOLDER=$dir/.yarn-cache npm_config_update_notifier=false JOBS=max
  npm exec --yes "--package=yarn@$YARN_VERSION" -- yarn install --production --no-lockfile --ignore-engines \
    --non-interactive --no-progress --network-timeout 300000 --registry "$registry"
  # Does the compiled module work?
  node -e 'new (require("sqlite3").Database)(":memory:").get("select 1", (error) => { if (error) throw error; })'
}

# A complete database with only the root user, and the logo: instances start with a copy of them.
make_template() {
  local dir=$1 state=$1/.template-state
  rm -rf "$state" "$dir/template"
  prepare_state "$dir" "$state"
  node_env "$state" 0 "$(head -c 24 /dev/urandom | base64)"
  (cd "$state" && node launch.cjs install --lang=en-US)
  [[ -s $state/storage/db/nocobase.sqlite ]]
  # Write-ahead logging (stored in the file): readers and writers do not block each other, and writes are two to three times as
  # fast.
  (cd "$state" && node -e '
    const db = new (require("sqlite3").Database)("storage/db/nocobase.sqlite");
    db.get("PRAGMA journal_mode=WAL", (error, row) => {
      if (error || row.journal_mode !== "wal") throw error || new Error(row.journal_mode);
      db.close((error) => { if (error) throw error; });
    });')
  # Keys, logs etc. belong to an instance.
  mkdir -p "$dir/template/db" "$state/storage/uploads"
  mv "$state/storage/db/nocobase.sqlite" "$dir/template/db/"
  mv "$state/storage/uploads" "$dir/template/"
  rm -rf "$state"
}

install() {
  local dir=$1
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  [[ $dir != *' '* ]] || die "NocoBase does not work below a path with spaces: $dir"
  installed "$dir" && return
  LOG=$dir/install.log
  have flock || ensure_tools
  exec 9>"$dir/.lock"
  flock -n 9 || { say "another install of $dir is running: waiting for it"; flock 9; }
  installed "$dir" && return
  : >"$LOG"
  ensure_tools
  say "installing NocoBase $VERSION into $dir (once; about 4 minutes, 1.2 GB to keep, 3.1 GB on the way); log: $LOG"
  rm -rf "${dir:?}/$STAMP" "$dir/node_modules" "$dir/template" "$dir/package.json"
  write_project "$dir"
  step "downloading and building packages" "$dir" yarn_install "$dir"
  step "creating the database template" "$dir" make_template "$dir"
  rm -rf "$dir/.yarn-cache"
  printf '%s\n' "$RECIPE" >"$dir/$STAMP.tmp"
  mv "$dir/$STAMP.tmp" "$dir/$STAMP"
  exec 9>&-
  say "NocoBase $VERSION is installed in $dir"
}

installed() { [[ $(cat "$1/$STAMP" 2>/dev/null) == "$RECIPE" ]]; }

# --- start -----------------------------------------------------------------------------------------------------------

# A state directory is the working directory of one instance: a link to the shared packages, its own storage, and its own
# index.html (NocoBase writes the public path etc. into it) next to links to the rest of the client.
prepare_state() {
  local dir=$1 state=$2 client=$1/node_modules/@nocobase/app/dist/client entry
  mkdir -p "$state/storage/db" "$state/app/dist"
  ln -sfn "$dir/node_modules" "$state/node_modules"
  rm -rf "$state/app/dist/client"
  mkdir "$state/app/dist/client"
  for entry in "$client"/*; do
    # The static file server follows linked directories but not linked files.
    if [[ -d $entry ]]; then
      ln -s "$entry" "$state/app/dist/client/"
    elif [[ $entry != */index.html ]]; then
      cp "$entry" "$state/app/dist/client/"
    fi
  done
  # NocoBase generates index.html from index.html.tpl, if there is an index.html.
  cp "$client/index.html.tpl" "$state/app/dist/client/index.html"
  cat >"$state/launch.cjs" <<'JS'
// NocoBase in one process: what its own command line does, without pm2, yarn and shells in between, so that one
// signal ends it all. Written by nocobase.sh at each start.
const util = require('@nocobase/cli-v1/src/util');
const fail = (why) => { console.error(`nocobase: ${why}`); process.exit(1); };

async function main() {
  util.initEnv();
  process.env.APP_PACKAGE_ROOT = `${process.cwd()}/app`;
  util.buildIndexHtml();
  if (process.argv[2] === 'start') {
    const { APP_PORT, APP_PUBLIC_PATH, API_BASE_PATH, STOP_ON_EOF } = process.env;
    if (await util.isPortReachable(APP_PORT, { host: '127.0.0.1' })) fail(`port ${APP_PORT} is taken`);
    if (STOP_ON_EOF) process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM')).resume();
    // On a signal NocoBase stops its applications, then its gateway, and then hangs on to open connections and timers.
    const { Gateway } = require('@nocobase/server');
    const { destroy } = Gateway.prototype;
    Gateway.prototype.destroy = function () { destroy.call(this); process.exit(0); };
    for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => setTimeout(() => process.exit(0), 8000));
    const base = `http://127.0.0.1:${APP_PORT}`;
    const giveUp = setTimeout(() => fail('not ready after 300 s, see storage/logs'), 300000);
    const poll = setInterval(async () => {
      const response = await fetch(`${base}${API_BASE_PATH}__health_check`).catch(() => undefined);
      if (response?.status !== 200 || giveUp._destroyed) return;
      clearTimeout(giveUp);
      clearInterval(poll);
      console.log(`nocobase: ready at ${base}${APP_PUBLIC_PATH}`);
    }, 250);
  }
  require('@nocobase/app/lib/index.js');
}

main().catch((error) => fail(error.stack));
JS
}

# The environment of an instance. None of the caller's own NocoBase settings must be passed on.
node_env() {
  local state=$1 port=$2 key=$3 name
  for name in $(compgen -e); do
    case $name in
      APP_* | API_* | DB_* | INIT_* | LOGGER_* | PLUGIN_* | STORAGE_PATH | SOCKET_PATH | PM2_HOME | CLUSTER_MODE | \
        WS_PATH | WEBSOCKET_URL | CDN_* | TELEMETRY_* | NODE_MODULES_PATH | NODE_PATH | NODE_OPTIONS | NODE_ARGS | \
        NOCOBASE_* | LOCAL_STORAGE_* | CACHE_* | AUTO_UPDATE_* | TZ) unset "$name" ;;
    esac
  done
  export APP_ENV=production NODE_ENV=production APP_PORT=$port APP_HOST=127.0.0.1 APP_KEY=$key
  export STORAGE_PATH=$state/storage PM2_HOME=$state/.pm2 APP_ENV_PATH=$state/.env
  export SOCKET_PATH=$state/gateway.sock
  ((${#SOCKET_PATH} < 100)) || SOCKET_PATH=/tmp/nocobase-$$.sock # the system allows 107 bytes
  export DB_DIALECT=sqlite DB_STORAGE=$state/storage/db/nocobase.sqlite DB_LOGGING=off TZ=UTC DB_TIMEZONE=+00:00
  export INIT_ROOT_EMAIL=admin@nocobase.com INIT_ROOT_PASSWORD=admin123 INIT_ROOT_NICKNAME="Super Admin" \
    INIT_ROOT_USERNAME=nocobase
  # Logs go to storage/logs; at "info" each request is logged, which is slow.
  export LOGGER_LEVEL=warn LOGGER_TRANSPORT=dailyRotateFile TELEMETRY_ENABLED=off
  # A write that waits for SQLite blocks a thread; with Node's usual four threads, writes would wait for each other for seconds.
  export UV_THREADPOOL_SIZE=32
  export NODE_PATH=$state/node_modules NODE_OPTIONS=--preserve-symlinks
}

start() {
  (($# >= 4)) || usage
  local dir=$1 state=$2 port=$3 key=$4 setting
  shift 4
  installed "$dir" || die "no finished install in $dir; first: nocobase.sh install $dir"
  [[ $port =~ ^[0-9]{1,5}$ ]] || die "not a port: $port"
  case $key in
    '' | test-key | your-secret-key) die "NocoBase would make up a JWT secret of its own for this APP_KEY: '$key'" ;;
  esac
  dir=$(cd "$dir" && pwd)
  mkdir -p "$state"
  state=$(cd "$state" && pwd)
  [[ $state != *' '* ]] || die "NocoBase does not work below a path with spaces: $state"
  exec 8>"$state/.lock" # held by NocoBase until it ends
  flock -n 8 || die "an instance is already running in $state"
  prepare_state "$dir" "$state"
  if [[ " $*" != *" DB_DIALECT="* && ! -s $state/storage/db/nocobase.sqlite ]]; then
    cp -R "$dir/template/uploads" "$state/storage/"
    cp "$dir/template/db/nocobase.sqlite" "$state/storage/db/nocobase.sqlite.new"
    mv "$state/storage/db/nocobase.sqlite.new" "$state/storage/db/nocobase.sqlite"
  fi
  node_env "$state" "$port" "$key"
  unset STOP_ON_EOF
  for setting; do
    case $setting in
      --stop-on-eof) export STOP_ON_EOF=1 ;;
      [A-Za-z_]*=*) export "${setting?}" ;;
      *) usage ;;
    esac
  done
  cd "$state"
  exec node launch.cjs start
}

# 40 s on PostgreSQL.
fill() {
  (($# >= 3)) || usage
  local dir=$1 state=$2 setting
  shift 2
  installed "$dir" || die "no finished install in $dir; first: nocobase.sh install $dir"
  mkdir -p "$state"
  state=$(cd "$state" && pwd)
  prepare_state "$dir" "$state"
  node_env "$state" 0 "$(head -c 24 /dev/urandom | base64)"
  for setting; do
    [[ $setting == [A-Za-z_]*=* ]] || usage
    export "${setting?}"
  done
  cd "$state"
  exec node launch.cjs install --lang=en-US
}

case ${1-} in
  fill) fill "${@:2}" ;;
  start) start "${@:2}" ;;
  install) (($# <= 2)) || usage; install "${2:-$(default_dir)}" ;;
  dir) default_dir ;;
  *) usage ;;
esac
