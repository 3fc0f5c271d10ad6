#!/usr/bin/env bash
# Prints how a shell reaches the cluster and the tools: eval "$(tests/kind/env.sh)"
. "$(dirname "$0")/common.sh"
use_engine
# shellcheck disable=SC2016 # the reader's PATH, not ours
printf 'export PATH=%q:$PATH KUBECONFIG=%q\n' "$STATE/bin" "$CLUSTER_KUBECONFIG"
if engine_is_ours; then
  printf 'export DOCKER_HOST=%q DOCKER_BUILDKIT=0 KIND_EXPERIMENTAL_DOCKER_NETWORK=%q\n' "$DOCKER_HOST" "$NETWORK"
fi
