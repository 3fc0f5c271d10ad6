#!/usr/bin/env bash
# Makes sure that the engine has a kind node image, and records its name in $STATE/run/node-image: the published one
# where it can be pulled, else one built from Debian packages and Go modules.
. "$(dirname "$0")/common.sh"
. "$KIND_DIR/go.sh"
use_engine

# a change of what goes in makes another image
inputs=$(
  cat "$KIND_DIR"/node/*.sh
  echo "$KIND_VERSION $ETCD_VERSION $COREDNS_VERSION $LOCAL_PATH_PROVISIONER_VERSION $DEBIAN_RELEASE"
)
built=lexigram-kind-node:$KUBERNETES_VERSION-$(sha256sum <<< "$inputs" | cut -c1-12)
use() { printf '%s\n' "$1" > "$STATE/run/node-image"; exit 0; }
present() { docker image inspect "$1" > /dev/null 2>&1; }

if present "$NODE_IMAGE"; then use "$NODE_IMAGE"; fi
if present "$built"; then use "$built"; fi

say "==> Pull $NODE_IMAGE"
start=$EPOCHREALTIME
if timeout 600 docker pull --quiet "$NODE_IMAGE" > "$STATE/logs/pull-node-image.log" 2>&1; then
  say "    $(seconds "$start") s"
  timed 'Pull the node image' "$start"
  use "$NODE_IMAGE"
fi
say "    cannot be pulled ($(tail -n 1 "$STATE/logs/pull-node-image.log" | cut -c1-120)), so it is built here"

[ "$(id -u)" = 0 ] || die "building a node image needs root; as another user, use a machine that can pull $NODE_IMAGE"
step 'Install what builds a node image' "$KIND_DIR/packages.sh" debootstrap jq

# the network is busy in one, the processors in the others
"$KIND_DIR/node/rootfs.sh" > "$STATE/logs/rootfs.log" 2>&1 &
rootfs=$!
step "Build Kubernetes $KUBERNETES_VERSION" kubernetes_build \
  kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubeadm kubectl
step "Build etcd $ETCD_VERSION" go_build etcd go.etcd.io/etcd/server/v3 "$ETCD_VERSION"
step "Build CoreDNS $COREDNS_VERSION" go_install coredns github.com/coredns/coredns "$COREDNS_VERSION"
step "Build local-path-provisioner $LOCAL_PATH_PROVISIONER_VERSION" \
  go_build local-path-provisioner github.com/rancher/local-path-provisioner "$LOCAL_PATH_PROVISIONER_VERSION"
wait "$rootfs" || die "debootstrap failed; everything it said is in $STATE/logs/rootfs.log"
# earlier images, except where a cluster still runs on one
docker images --format '{{.Repository}}:{{.Tag}}' lexigram-kind-node | xargs -r -n 1 docker rmi > /dev/null 2>&1 || true
step 'Assemble the node image' "$KIND_DIR/node/build.sh" "$built"
use "$built"
