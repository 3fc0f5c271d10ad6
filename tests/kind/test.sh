#!/usr/bin/env bash
# test.sh ARGUMENT...: brings everything up and runs every test; arguments go to `cargo test --workspace`.
. "$(dirname "$0")/common.sh"
LEXIGRAM_TIMINGS=$(mktemp)
export LEXIGRAM_TIMINGS
summary() {
  printf '\nWhere the time went, in seconds:\n'
  awk -F '\t' '{ printf "%8.1f  %s\n", $1, $2; sum += $1 } END { printf "%8.1f  in all\n", sum }' "$LEXIGRAM_TIMINGS"
  rm -f "$LEXIGRAM_TIMINGS"
}
trap summary EXIT

"$KIND_DIR/up.sh"
"$KIND_DIR/images.sh"
"$KIND_DIR/tools.sh" kubectl helm
. "$KIND_DIR/servers.sh"
eval "$("$KIND_DIR/env.sh")"
LEXIGRAM_MODELS=$(dirname "$("$REPO/worker-image/model.sh")")
LEXIGRAM_PYTHON=$("$KIND_DIR/python.sh")
export LEXIGRAM_MODELS LEXIGRAM_PYTHON
export LEXIGRAM_OPERATOR_IMAGE=lexigram-operator:dev LEXIGRAM_WORKER_IMAGE=lexigram-worker:dev
export LEXIGRAM_POSTGRES_IMAGE=lexigram-postgres:dev LEXIGRAM_WEB_IMAGE=lexigram-web:dev
export LEXIGRAM_OWN_WORKER_IMAGE=lexigram-own-worker:dev

cd "$REPO"
say '==> Run the tests: cargo test'
start=$EPOCHREALTIME
cargo test --locked --workspace "$@"
timed 'Run the tests' "$start"
