#!/usr/bin/env bash
# Makes sure that the kind cluster is there and works: its Pods get addresses, Services and DNS answer.
. "$(dirname "$0")/common.sh"
use_engine
export KUBECONFIG=$CLUSTER_KUBECONFIG

# services_work: "Ready" says nothing about Services, so fetch from one, by name, over the cluster's DNS. From the node,
# since that needs no image; both requests go through kube-proxy, the first one to a Pod.
services_work() {
  local dns
  dns=$(kubectl --namespace kube-system get service kube-dns -o jsonpath='{.spec.clusterIP}') || return 1
  docker exec "$NODE" unshare --mount bash -c "
    echo nameserver $dns > /run/cluster-resolv.conf
    mount --bind /run/cluster-resolv.conf /etc/resolv.conf
    curl --silent --fail --insecure --max-time 5 https://kubernetes.default.svc.cluster.local/readyz"
}

# works TRIES: after everything was killed at once, a cluster needs some 20 s until it tells the truth again.
works() {
  for _ in $(seq "$1"); do
    if services_work \
      && kubectl --namespace kube-system wait --for=condition=Ready pod --all --timeout=30s \
      && kubectl --namespace local-path-storage wait --for=condition=Ready pod --selector app=local-path-provisioner --timeout=60s
    then return 0; fi
    sleep 1
  done > /dev/null 2>&1
  return 1
}

# answer_names_at_home: where nothing leaves the machine, a Pod's question for a name outside is refused at once, instead
# of after the time-outs of a forwarder.
answer_names_at_home() {
  kubectl --namespace kube-system get configmap coredns --output yaml \
    | sed '/forward \. /,/}/d' \
    | kubectl replace --filename -
  kubectl --namespace kube-system delete pod --selector k8s-app=kube-dns --wait=false
}

create() {
  local config=$STATE/run/kind.yaml image
  image=$(cat "$STATE/run/node-image")
  printf 'kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\n' > "$config"
  # the node image that we build has its network built in
  [ "$image" = "$NODE_IMAGE" ] || printf 'networking:\n  disableDefaultCNI: true\n' >> "$config"
  if [ "$(docker info --format '{{.CgroupVersion}}')" = 1 ]; then
    # the kubelet of Kubernetes 1.35 refuses cgroup v1 unless told otherwise
    printf 'kubeadmConfigPatches:\n- |\n  kind: KubeletConfiguration\n  failCgroupV1: false\n' >> "$config"
  fi
  kind create cluster --name "$CLUSTER" --image "$image" --config "$config"
  if engine_is_ours; then answer_names_at_home; fi
  works 90 || { echo 'Services or DNS do not work'; return 1; }
}

if engine_is_ours; then "$KIND_DIR/network.sh"; fi

if docker container inspect "$NODE" > /dev/null 2>&1; then
  # in continuous integration, every run starts from a new cluster
  if [ "${CI:-}" != true ] && kind export kubeconfig --name "$CLUSTER" > /dev/null 2>&1; then
    if works 1; then say "==> The cluster is up"; exit 0; fi
    say "==> The cluster does not answer yet; waiting for it"
    if works 45; then exit 0; fi
  fi
  step 'Delete the old cluster' docker rm --force --volumes "$NODE"
fi
step "Create the cluster ($(cat "$STATE/run/node-image"))" create
touch "$STATE/run/cluster-is-ours"
