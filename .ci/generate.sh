#!/usr/bin/env bash
# Writes the CustomResourceDefinitions from the Rust types: crds/ is the reference, the chart carries a copy.
set -euo pipefail
cd "$(dirname "$0")/.."
# the choice of targets that is made everywhere, so that no dependency is compiled once more for this alone
cargo build --quiet --locked --workspace --bins --tests
"${CARGO_TARGET_DIR:-target}/debug/lexigram-operator" crd --output crds
chart=charts/lexigram-workers/files/crds
mkdir -p "$chart"
rm -f "$chart"/*.yaml
cp crds/*.yaml "$chart/"
