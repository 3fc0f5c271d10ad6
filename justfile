# The developer's commands. `just --list` explains them.

set shell := ["bash", "-euo", "pipefail", "-c"]
set positional-arguments

# `kind`: a cluster of our own on this machine; `existing`: the one that KUBECONFIG points at
cluster := "kind"

# the images for an existing cluster, which has to be able to pull them
export LEXIGRAM_OPERATOR_IMAGE := env("LEXIGRAM_OPERATOR_IMAGE", "")
export LEXIGRAM_WORKER_IMAGE := env("LEXIGRAM_WORKER_IMAGE", "")

# Show this list
[private]
default:
    @just --list

# Install the chart, ingest the example handbook and search it; `just demo cluster=existing` uses your own cluster
demo where=("cluster=" + cluster):
    @tests/kind/demo.sh "$1"

# Set everything up and run every test, those on the kind cluster included
test *arguments:
    @tests/kind/test.sh "$@"

# Run the tests that need no cluster
unit *arguments:
    @tests/kind/unit.sh "$@"

# Kill the worker at random moments, 200 times on SQLite and half as often on Postgres, and compare its stores with those of runs never killed
chaos kills="200":
    @LEXIGRAM_CHAOS_KILLS="$1" tests/kind/unit.sh --test chaos --test postgres_chaos -- --nocapture

# Check everything that needs no cluster: generated files, format, lints, licences, docs, book, chart, scripts
verify: generate
    @.ci/verify.sh

# Write what both binaries are made of, as CycloneDX (SBOM), into target/sbom
sbom:
    @.ci/sbom.sh

# Write what is derived from the Rust types: CRDs into crds/ and the chart, the schemas of the worker contract and the reference into docs/
generate:
    @.ci/generate.sh

# Bring up the kind cluster, or make sure that it works
up:
    @tests/kind/up.sh

# Remove what `up` started, and nothing else
down:
    @tests/kind/down.sh

# Build the two images and load them into the kind cluster, where something changed
images:
    @tests/kind/images.sh

# Fetch and check the embedding model, and print its folder
model:
    @worker-image/model.sh

# Print what a shell needs to reach the cluster: eval "$(just env)"
env:
    @tests/kind/env.sh

# Format the Rust code
fmt:
    @cargo fmt --all

# Run a benchmark of benches/; `embed` compares embedding with Python onnxruntime, `ingest` ingestion with LlamaIndex, `operator` the operator with kube-controller-manager
bench name *arguments:
    @"benches/$1/run.sh" "${@:2}"
