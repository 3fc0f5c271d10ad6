#!/usr/bin/env bash
# The root file system of the node image, from Debian packages: $STATE/node/rootfs. The packages are those of kind's
# own base image, as far as one node needs them.
. "$(dirname "$0")/../common.sh"
rootfs=$STATE/node/rootfs
stamp=$STATE/node/rootfs-$( (cat "$0"; echo "$DEBIAN_RELEASE") | sha256sum | cut -c1-12)
[ ! -f "$stamp" ] || exit 0

packages=(
  systemd systemd-sysv containerd runc containernetworking-plugins
  iptables nftables conntrack iproute2 ethtool socat kmod mount util-linux procps
  netbase ca-certificates curl jq openssl pigz libcap2-bin
)
rm -rf "$rootfs" "$STATE"/node/rootfs-*
mkdir -p "$STATE/node"
debootstrap --variant=minbase --include="$(IFS=,; printf %s "${packages[*]}")" \
  "$DEBIAN_RELEASE" "$rootfs" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"}
rm -rf "$rootfs"/var/lib/apt/lists/* "$rootfs"/var/cache/apt/* "$rootfs"/usr/share/{doc,man,locale}
touch "$stamp"
