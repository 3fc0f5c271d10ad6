#!/usr/bin/env bash
# Writes what both binaries are made of, as CycloneDX: a file each, into target/sbom. Built crates are listed, with versions,
# licences and checksums; what only tests or builds need is not.
. "$(dirname "$0")/../tests/kind/common.sh"
cd "$REPO"
out=${CARGO_TARGET_DIR:-$REPO/target}/sbom
tool=$STATE/tools/cargo-cyclonedx-$CARGO_CYCLONEDX_VERSION

build() { env -u CARGO_TARGET_DIR cargo install --locked --root "$tool" "cargo-cyclonedx@$CARGO_CYCLONEDX_VERSION"; }

# the tool writes a file beside the manifest of every binary of the workspace
tidy() { git ls-files --others --exclude-standard -z -- '*_bin.cdx.json' | xargs -0 --no-run-if-empty rm --; }

list() {
  "$tool/bin/cargo-cyclonedx" cyclonedx --quiet --format json --spec-version 1.5 --describe binaries --no-build-deps
  mkdir -p "$out"
  mv operator/lexigram-operator_bin.cdx.json "$out/lexigram-operator.cdx.json"
  mv worker-image/lexigram-worker_bin.cdx.json "$out/lexigram-worker.cdx.json"
}

[ -x "$tool/bin/cargo-cyclonedx" ] || step "Build cargo-cyclonedx $CARGO_CYCLONEDX_VERSION" build
trap tidy EXIT
step 'List what the binaries are made of: cargo cyclonedx' list
say "$out"
