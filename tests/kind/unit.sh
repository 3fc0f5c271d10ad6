#!/usr/bin/env bash
# unit.sh ARGUMENT...: runs the tests that need no cluster, with the model and the servers that they use; arguments go to
# `cargo test`.
. "$(dirname "$0")/common.sh"
. "$KIND_DIR/servers.sh"
LEXIGRAM_MODELS=$(dirname "$("$REPO/worker-image/model.sh")")
export LEXIGRAM_MODELS
cd "$REPO"
exec cargo test --locked --workspace --exclude lexigram-tests "$@"
