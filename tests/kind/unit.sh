#!/usr/bin/env bash
# unit.sh ARGUMENT...: runs the tests that need no cluster, with the model and the servers that they use; arguments go to
# `cargo test`.
. "$(dirname "$0")/common.sh"
"$KIND_DIR/tools.sh" versitygw >&2
LEXIGRAM_MODELS=$(dirname "$("$REPO/worker-image/model.sh")")
LEXIGRAM_VERSITYGW=$(command -v versitygw)
LEXIGRAM_POSTGRES=$("$REPO/worker-image/postgres.sh")
export LEXIGRAM_MODELS LEXIGRAM_VERSITYGW LEXIGRAM_POSTGRES
cd "$REPO"
exec cargo test --locked --workspace --exclude lexigram-tests "$@"
