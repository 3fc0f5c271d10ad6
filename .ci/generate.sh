#!/usr/bin/env bash
# Writes what is derived from the Rust types: the CustomResourceDefinitions (crds/ is the reference, the chart carries a
# copy), the JSON Schemas of the worker contract, and from the former and the chart's values docs/reference.
. "$(dirname "$0")/../tests/kind/common.sh"
. "$REPO/.ci/crds.sh"
cd "$REPO"
# the choice of targets that is made everywhere, so that no dependency is compiled once more for this alone
cargo build --quiet --locked --workspace --bins --tests
programs=${CARGO_TARGET_DIR:-target}/debug
"$programs/lexigram-operator" crd --output crds
"$programs/lexigram-worker" contract schema --output docs/contract
chart=charts/lexigram-workers
mkdir -p "$chart/files/crds"
rm -f "$chart"/files/crds/*.yaml
cp crds/*.yaml "$chart/files/crds/"

"$KIND_DIR/tools.sh" kubectl
list=$(mktemp)
trap 'rm -f "$list"' EXIT
crds_as_json crds/*.yaml > "$list"
rm -f docs/reference/*.md
python3 .ci/reference.py "$list" "$chart/values.yaml" "$chart/values.schema.json" docs/reference
