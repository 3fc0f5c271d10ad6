#!/usr/bin/env bash
# Brings up the kind cluster with everything that it needs, or makes sure that it still works.
. "$(dirname "$0")/common.sh"
exclusively
start=$EPOCHREALTIME

need_engine
"$KIND_DIR/tools.sh" kind helm
"$KIND_DIR/node-image.sh"
# after the node image: where that is built, kubectl came with it
"$KIND_DIR/tools.sh" kubectl
"$KIND_DIR/cluster.sh"
say "    ready after $(seconds "$start") s: export KUBECONFIG=$CLUSTER_KUBECONFIG"
