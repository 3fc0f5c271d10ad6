#!/usr/bin/env bash
# Has the operator run IngestionJobs on fake nodes, and kube-controller-manager alone as many plain Jobs of the same shape,
# against a control plane of its own on this machine: no container, no kind cluster. LEXIGRAM_BENCH_OBJECTS (10000),
# LEXIGRAM_BENCH_RUNS (1000), LEXIGRAM_BENCH_CONCURRENCY (100) and LEXIGRAM_BENCH_RATE (20 applies/s) make it shorter.
# PROFILE=dev takes the profile that the tests use.
. "$(dirname "$0")/../../tests/kind/common.sh"
. "$KIND_DIR/go.sh"
here=$REPO/benches/operator
work=$STATE/bench/operator
target=${CARGO_TARGET_DIR:-$REPO/target}
profile=${PROFILE:-release}

# in the profile of the tests everything at once, with the features that the tests have compiled
build() {
  case $profile in
    dev) cargo build --locked --workspace --bins --tests --manifest-path "$REPO/Cargo.toml" ;;
    *) cargo build --locked --profile "$profile" --package lexigram-operator --manifest-path "$REPO/Cargo.toml" ;;
  esac
}

step "Build the operator, profile $profile" build
step "Build Kubernetes $KUBERNETES_VERSION" kubernetes_build kube-apiserver kube-controller-manager kube-scheduler
step "Build etcd $ETCD_VERSION" go_build etcd go.etcd.io/etcd/server/v3 "$ETCD_VERSION"
step "Build kwok $KWOK_VERSION" go_install kwok sigs.k8s.io/kwok/cmd/kwok "$KWOK_VERSION"
# the module brings what nodes do
kwok_module=$(go mod download -json "sigs.k8s.io/kwok@$KWOK_VERSION" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')

rm -rf "$work"
mkdir -p "$work/bin"
for program in kube-apiserver kube-controller-manager kube-scheduler; do
  ln -s "$(go_program "$program" "$KUBERNETES_VERSION")" "$work/bin/$program"
done
ln -s "$(go_program etcd "$ETCD_VERSION")" "$work/bin/etcd"
ln -s "$(go_program kwok "$KWOK_VERSION")" "$work/bin/kwok"
folder=$profile
[ "$profile" != dev ] || folder=debug
cp "$target/$folder/lexigram-operator" "$work/bin/lexigram-operator"
"$work/bin/lexigram-operator" crd --output "$work/crds"
cp "$kwok_module"/kustomize/stage/node/{fast/node-initialize,heartbeat/node-heartbeat}.yaml "$here/pods.yaml" "$work"
python3 -B "$here/bench.py" "$work"
