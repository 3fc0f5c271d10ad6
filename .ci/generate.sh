#!/usr/bin/env bash
# Writes the CustomResourceDefinitions from the Rust types: crds/ is the reference, the chart carries a copy.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo run --quiet --locked -p lexigram-operator -- crd --output crds
chart=charts/lexigram-workers/files/crds
mkdir -p "$chart"
rm -f "$chart"/*.yaml
cp crds/*.yaml "$chart/"
