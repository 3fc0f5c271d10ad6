#!/usr/bin/env bash
# Embeds the same texts with lexigram-bert and with Python onnxruntime, in turn, and compares speed and vectors.
# Needs no cluster. THREADS overrides the number of threads of both, MODEL the folder of the model.
. "$(dirname "$0")/../../tests/kind/common.sh"
here=$REPO/benches/embed
venv=$STATE/bench/venv
target=${CARGO_TARGET_DIR:-$REPO/target}

python() {
  mkdir -p "$STATE/bench"
  [ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
  "$venv/bin/pip" install --disable-pip-version-check --requirement "$here/requirements.txt"
}

step 'Python onnxruntime' python
step 'Build the benchmark' cargo build --locked --release --package lexigram-bench-embed --manifest-path "$REPO/Cargo.toml"
model=${MODEL:-$("$REPO/worker-image/model.sh")}
"$venv/bin/python" "$here/compare.py" "$target/release/lexigram-bench-embed" "$model" "$STATE/bench" "${THREADS:-$(nproc)}"
