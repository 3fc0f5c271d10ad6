#!/usr/bin/env bash
# Makes sure that a container engine answers: the machine's own, or else one that we install and start.
. "$(dirname "$0")/common.sh"
dir=$STATE/engine

if engine_is_ours; then
  use_engine
  docker info > /dev/null 2>&1 || die "our engine (pid $(cat "$dir/dockerd.pid")) does not answer; see $STATE/logs/dockerd.log, or run 'just down'"
  exit 0
fi
if docker info > /dev/null 2>&1; then exit 0; fi

"$KIND_DIR/packages.sh" docker.io containerd runc iptables iproute2 jq procps

mkdir -p "$dir"
# What the engine changes on this machine, to be put back by down.sh. A file from before a crash is the older truth.
[ -f "$dir/forward-policy" ] || iptables -S FORWARD | sed -n 's/^-P FORWARD //p' > "$dir/forward-policy"
[ -f "$dir/ip-forward" ] || cat /proc/sys/net/ipv4/ip_forward > "$dir/ip-forward"

runtime='{}'
if lacks_sys_resource; then
  runtime=$(jq -n --arg path "$KIND_DIR/runc-without-sys-resource" \
    '{runtimes: {"without-sys-resource": {path: $path}}, "default-runtime": "without-sys-resource"}')
fi
# No default bridge: containers reach the one network that we make, or none. Names from outside do not resolve: nothing
# answers at that address, and the node gives up after a second, so that a pull that cannot succeed fails soon.
jq -n --arg dir "$dir" --argjson runtime "$runtime" '{
  "hosts": ["unix://\($dir)/docker.sock"], "pidfile": "\($dir)/dockerd.pid",
  "data-root": "\($dir)/data", "exec-root": "\($dir)/exec",
  "bridge": "none", "ipv6": false, "dns": ["127.0.0.1"], "dns-opts": ["timeout:1", "attempts:1"]
} + $runtime' > "$dir/daemon.json"

# What a killed engine left behind would stop the next one. That goes for its containers' ends of the bridge too: a
# process that dies late keeps its network, and answers in it at the address that the next node is given.
rm -f "$dir/dockerd.pid" "$dir/docker.sock" "$dir/exec/containerd/containerd.pid"
for port in /sys/class/net/"$NETWORK"/brif/*; do
  [ ! -e "$port" ] || ip link delete "$(basename "$port")"
done
setsid nohup dockerd --config-file "$dir/daemon.json" > "$STATE/logs/dockerd.log" 2>&1 < /dev/null 9>&- &
for _ in $(seq 150); do
  if DOCKER_HOST=unix://$dir/docker.sock docker info > /dev/null 2>&1; then exit 0; fi
  sleep 0.2
done
tail -n 5 "$STATE/logs/dockerd.log"
die "the engine did not start within 30 s"
