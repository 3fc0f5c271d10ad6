#!/usr/bin/env bash
# build.sh IMAGE: assembles the node image from the root file system, the files of kind's own base image (they are in
# kind's Go module), the Kubernetes programs, and the control plane's container images.
. "$(dirname "$0")/../common.sh"
. "$KIND_DIR/go.sh"
use_engine
rootfs=$STATE/node/rootfs
node=$STATE/node/assembled
kind_module=$(go mod download -json "sigs.k8s.io/kind@$KIND_VERSION" | jq -r .Dir)
files=$kind_module/images/base/files

rm -rf "$node"
cp -a "$rootfs" "$node"

# --- kind's files. Debian keeps containerd in /usr/bin.
install -m 755 "$files"/usr/local/bin/* "$node/usr/local/bin/"
mkdir -p "$node/kind/manifests" "$node/etc/kubernetes/manifests" "$node/opt/cni/bin" "$node/etc/cni/net.d"
cp -r --no-preserve=mode "$files"/kind/. "$node/kind/"
cp -r --no-preserve=mode "$files"/etc/. "$node/etc/"
chmod 755 "$node"/kind/bin/*.sh
sed -i 's#/usr/local/bin/containerd#/usr/bin/containerd#' "$node/etc/systemd/system/containerd.service"
sed -i "s#pause:3[.0-9]*\"#pause:$PAUSE_TAG\"#" "$node/etc/containerd/config.toml"

# --- systemd as in kind's base image: only what a node needs
find "$node/lib/systemd/system/sysinit.target.wants" -name systemd-tmpfiles-setup.service -delete
rm -f "$node"/lib/systemd/system/{multi-user,local-fs,basic}.target.wants/* "$node"/etc/systemd/system/*.wants/* \
  "$node"/lib/systemd/system/sockets.target.wants/{*udev*,*initctl*}
echo ReadKMsg=no >> "$node/etc/systemd/journald.conf"
ln -sf /usr/lib/systemd/systemd "$node/sbin/init"
chroot "$node" systemctl enable kubelet.service containerd.service undo-mount-hacks.service
# binfmt registrations would be global to the kernel
chroot "$node" systemctl mask systemd-binfmt.service
: > "$node/etc/machine-id"

# --- Kubernetes
printf %s "$KUBERNETES_VERSION" > "$node/kind/version"
for command in kubeadm kubectl kubelet; do
  install "$(go_program "$command" "$KUBERNETES_VERSION")" "$node/usr/bin/$command"
done

# --- containers: the hook that kind adds to each
chroot "$node" ctr oci spec \
  | jq '.hooks.createContainer += [{path: "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' \
  > "$node/etc/containerd/cri-base.json"
if lacks_sys_resource; then
  # see runc-without-sys-resource: nothing inside the node may ask for that capability either
  sed -i '/^LimitN\|^LimitCORE\|^OOMScoreAdjust/d' "$node/etc/systemd/system/containerd.service"
  sed -i 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' "$node/etc/containerd/config.toml"
  without=$(jq '.process.capabilities |= with_entries(.value |= map(select(. != "CAP_SYS_RESOURCE")))' \
    "$node/etc/containerd/cri-base.json")
  printf '%s\n' "$without" > "$node/etc/containerd/cri-base.json"
fi

# --- network: what kindnet would write on a first node, so one node only, and nothing enforces NetworkPolicy. kind is
# told to install no network of its own (cluster.sh).
cp "$node"/usr/lib/cni/{host-local,loopback,portmap,ptp} "$node/opt/cni/bin/"
cat > "$node/etc/cni/net.d/10-kindnet.conflist" <<'CNI'
{
  "cniVersion": "0.3.1",
  "name": "kindnet",
  "plugins": [
    {
      "type": "ptp",
      "ipMasq": true,
      "mtu": 1400,
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/cni-ipam-state",
        "routes": [{"dst": "0.0.0.0/0"}],
        "ranges": [[{"subnet": "10.244.0.0/24"}]]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
CNI

# --- storage: the manifest is a string in kind's source
# shellcheck disable=SC2016 # the backquotes are Go's
awk '/^const defaultStorageManifest = `/ { inside = 1; next } inside && /^`/ { exit } inside' \
  "$kind_module/pkg/build/nodeimage/const_storage.go" \
  | sed -e 's#` + storageProvisionerImage + `#docker.io/kindest/local-path-provisioner:local#' \
        -e 's#` + storageHelperImage + `#docker.io/kindest/local-path-helper:local#' \
  > "$node/kind/manifests/default-storage.yaml"

# --- the control plane's images go into the node's image store: imported by the node's own containerd, nothing
# unpacked, as kind does it
"$KIND_DIR/node/control-plane.sh" "$node/images.tar"
cat > "$node/preload.toml" <<'TOML'
version = 2
state = "/preload"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "/preload.sock"
TOML
chroot "$node" containerd --config /preload.toml &
containerd=$!
trap 'kill "$containerd" 2>/dev/null || true' EXIT
ctr=(chroot "$node" ctr --address /preload.sock --namespace k8s.io)
for _ in $(seq 50); do
  if "${ctr[@]}" version > /dev/null 2>&1; then break; fi
  sleep 0.2
done
"${ctr[@]}" images import --all-platforms --no-unpack --digests /images.tar
kill "$containerd"
wait "$containerd" || true
rm -rf "$node/images.tar" "$node/preload.toml" "$node/preload.sock" "$node/preload.sock.ttrpc" "$node/preload"

tar -C "$node" --numeric-owner -c . | docker import --change 'ENV container=docker' \
  --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
  --change 'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]' - "$1"
rm -rf "$node"
