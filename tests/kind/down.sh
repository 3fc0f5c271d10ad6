#!/usr/bin/env bash
# Removes what the set-up started, and nothing else: the cluster, and our engine with its network and its firewall
# rules. What was downloaded or built stays in $STATE for the next time.
. "$(dirname "$0")/common.sh"
exclusively
use_engine
dir=$STATE/engine

# restore: the firewall and the forwarding as they were before our engine, also where that was killed
restore() {
  iptables --policy FORWARD "$(cat "$dir/forward-policy")"
  for table in filter nat; do
    iptables-save --table "$table" | grep -v -e DOCKER -e " $NETWORK " | iptables-restore --table "$table"
  done
  ip link delete "$NETWORK" 2> /dev/null || true
  cat "$dir/ip-forward" > /proc/sys/net/ipv4/ip_forward
  rm "$dir/forward-policy" "$dir/ip-forward"
}

stop_engine() {
  local pid
  pid=$(cat "$dir/dockerd.pid")
  kill "$pid"
  timeout 30 tail --pid="$pid" --follow /dev/null
}

if [ -f "$STATE/run/cluster-is-ours" ]; then
  # the node's container is the cluster, and kind may be gone from PATH
  if docker container inspect "$NODE" > /dev/null 2>&1; then step 'Delete the cluster' docker rm --force --volumes "$NODE"; fi
  rm -f "$STATE/run/cluster-is-ours" "$CLUSTER_KUBECONFIG"
fi
if engine_is_ours; then
  docker network rm "$NETWORK" > /dev/null 2>&1 || true
  step 'Stop our container engine' stop_engine
fi
if [ -f "$dir/forward-policy" ]; then step 'Put the firewall back' restore; fi
