#!/usr/bin/env bash
# Ingests the same documents with the worker's pipeline and with LlamaIndex, in turn, and compares speed and memory.
# Needs no cluster, but Debian's apt. LEXIGRAM_BENCH_ROUNDS (3) and LEXIGRAM_BENCH_FILES (all) make it shorter: a round
# over everything takes LlamaIndex about ten minutes, nearly all of it with the model. Arguments choose among no-embed,
# unchanged and model. PROFILE=dev takes the profile that the tests use, MODEL another model.
. "$(dirname "$0")/../../tests/kind/common.sh"
here=$REPO/benches/ingest
work=$STATE/bench/ingest
venv=$STATE/bench/venv-ingest
target=${CARGO_TARGET_DIR:-$REPO/target}
profile=${PROFILE:-release}

python() {
  mkdir -p "$work"
  [ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
  "$venv/bin/pip" install --disable-pip-version-check \
    --requirement "$here/requirements.txt" --requirement "$here/../embed/requirements.txt"
}

# in the profile of the tests everything at once, with the features that the tests have compiled
build() {
  case $profile in
    dev) cargo build --locked --workspace --bins --tests --manifest-path "$REPO/Cargo.toml" ;;
    *) cargo build --locked --profile "$profile" --package lexigram-bench-ingest --manifest-path "$REPO/Cargo.toml" ;;
  esac
}

step 'Python LlamaIndex' python
step 'Documents out of Debian packages' "$here/corpus.sh" "$work/corpus"
step "Build the benchmark, profile $profile" build
model=${MODEL:-$("$REPO/worker-image/model.sh")}
folder=$profile
[ "$profile" != dev ] || folder=debug
"$venv/bin/python" "$here/compare.py" "$target/$folder/lexigram-bench-ingest" "$model" "$work/corpus" "$work" "$@"
