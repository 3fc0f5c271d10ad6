# Sourced by every script of the set-up: where its state lives, how steps are reported, which engine is ours.
# shellcheck shell=bash disable=SC2034
set -euo pipefail

KIND_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
REPO=$(cd "$KIND_DIR/../.." && pwd)
# shellcheck source=tests/kind/versions.env
. "$KIND_DIR/versions.env"

# Everything that is downloaded, built or running lives in this one folder.
STATE=${LEXIGRAM_CACHE:-$HOME/.cache/lexigram-workers}
CLUSTER=lexigram
NETWORK=lexigram    # the engine's network, and the name of its bridge on this machine
NODE=$CLUSTER-control-plane
mkdir -p "$STATE/bin" "$STATE/logs" "$STATE/run"

# Our tools stand first; there is one there only where PATH had none that fits.
export PATH=$STATE/bin:$PATH
# kind itself: never touch the user's own kubeconfig.
CLUSTER_KUBECONFIG=$STATE/kubeconfig

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# seconds START: the time since START (a value of EPOCHREALTIME), with one decimal.
seconds() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }

# timed NAME START: adds a line to the table of where the time went, when somebody asked for one.
timed() { [ -z "${LEXIGRAM_TIMINGS:-}" ] || printf '%s\t%s\n' "$(seconds "$2")" "$1" >> "$LEXIGRAM_TIMINGS"; }

# step NAME COMMAND...: says what happens, keeps the output in a log, and says how long it took or why it failed.
step() {
  local name=$1 start=$EPOCHREALTIME log code
  log=$STATE/logs/$(printf %s "$name" | tr -cs '[:alnum:].' '-').log
  shift
  say "==> $name"
  # not in a condition: errexit must hold inside
  set +e
  (set -e; "$@") > "$log" 2>&1
  code=$?
  set -e
  if [ "$code" != 0 ]; then
    tail -n 25 "$log" >&2
    die "$name failed after $(seconds "$start") s; everything it said is in $log"
  fi
  say "    $(seconds "$start") s"
  timed "$name" "$start"
}

# exclusively: from here on, no second set-up or removal runs on the same state.
exclusively() {
  exec 9> "$STATE/lock"
  flock -n 9 || { say "waiting for another run of this set-up"; flock 9; }
}

# is_running PIDFILE PROGRAM: whether the process of a pid file runs that program. Ids are reused, and a killed process
# that nobody has waited for keeps its id, but has no program.
is_running() {
  local program
  [ -f "$1" ] && program=$(readlink "/proc/$(cat "$1")/exe") && [ "$(basename "$program")" = "$2" ]
}

engine_is_ours() { is_running "$STATE/engine/dockerd.pid" dockerd; }

# use_engine: points docker and kind at our engine where we run one, else leaves them with the user's.
use_engine() {
  export KIND_EXPERIMENTAL_PROVIDER=docker
  if engine_is_ours; then
    export DOCKER_HOST=unix://$STATE/engine/docker.sock
    # a network with a bridge of its own, so that its traffic can be told apart and held back
    export KIND_EXPERIMENTAL_DOCKER_NETWORK=$NETWORK
    # the images need no RUN, and the classic builder needs no plugin and no runtime of its own
    export DOCKER_BUILDKIT=0
  fi
}

# need_engine: starts an engine of our own where none answers.
need_engine() {
  if ! engine_is_ours && ! docker info > /dev/null 2>&1; then step 'Start a container engine' "$KIND_DIR/engine.sh"; fi
  use_engine
}

# lacks_sys_resource: whether CAP_SYS_RESOURCE (bit 24) is missing, so that no container can be given it.
lacks_sys_resource() { [ $(( 0x$(awk '/^CapBnd/ { print $2 }' /proc/self/status) >> 24 & 1 )) = 0 ]; }

# version_between VERSION MIN BELOW: MIN <= VERSION < BELOW, compared as versions; an empty VERSION never fits.
version_between() {
  [ -n "$1" ] && [ "$(printf '%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ] && [ "$1" != "$3" ] \
    && [ "$(printf '%s\n' "$1" "$3" | sort -V | head -n 1)" = "$1" ]
}
