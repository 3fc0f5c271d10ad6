#!/usr/bin/env bash
# control-plane.sh ARCHIVE: writes the container images that a node runs before any is loaded into it, under the names
# that kubeadm and kind's manifests ask for: built programs, and libraries out of the root file system.
. "$(dirname "$0")/../common.sh"
. "$KIND_DIR/go.sh"
use_engine
rootfs=$STATE/node/rootfs
registry=registry.k8s.io
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
images=()

# image NAME FOLDER CHANGE...: a folder becomes an image.
image() {
  local name=$1 folder=$2 changes=() change
  shift 2
  for change in "$@"; do changes+=(--change "$change"); done
  tar -C "$folder" --numeric-owner --owner=0 --group=0 -c . | docker import "${changes[@]}" - "$name"
  images+=("$name")
}

# libraries FOLDER PROGRAM...: copies into a folder the shared libraries that programs of the rootfs load.
libraries() {
  local folder=$1 library
  shift
  chroot "$rootfs" ldd "$@" | awk '/=>/ { print $3 } /^\t\/.*ld-linux/ { print $1 }' | sort -u \
    | while read -r library; do
        mkdir -p "$folder$(dirname "$library")"
        cp -L "$rootfs$library" "$folder$library"
      done
}

for command in kube-apiserver kube-controller-manager kube-scheduler; do
  install -D "$(go_program "$command" "$KUBERNETES_VERSION")" "$work/$command/usr/local/bin/$command"
  mkdir -p "$work/$command/tmp" "$work/$command/etc/ssl"
  image "$registry/$command:$KUBERNETES_VERSION" "$work/$command" 'ENV PATH=/usr/local/bin'
done

install -D "$(go_program etcd "$ETCD_VERSION")" "$work/etcd/usr/local/bin/etcd"
mkdir "$work/etcd/tmp"
image "$registry/etcd:$ETCD_TAG" "$work/etcd" 'ENV PATH=/usr/local/bin'

install -D "$(go_program coredns "$COREDNS_VERSION")" "$work/coredns/coredns"
image "$registry/coredns/coredns:$COREDNS_VERSION" "$work/coredns" 'ENTRYPOINT ["/coredns"]'

mkdir "$work/pause"
cc -static -Os -s -o "$work/pause/pause" \
  "$(go mod download -json "k8s.io/kubernetes@$KUBERNETES_VERSION" | jq -r .Dir)/build/pause/linux/pause.c"
image "$registry/pause:$PAUSE_TAG" "$work/pause" 'ENTRYPOINT ["/pause"]' 'USER 65535:65535'

# kube-proxy runs iptables and conntrack. Every extension of iptables counts: without libm for libxt_statistic,
# nodes are Ready and Services do not work.
proxy=$work/kube-proxy
install -D "$(go_program kube-proxy "$KUBERNETES_VERSION")" "$proxy/usr/local/bin/kube-proxy"
mkdir -p "$proxy"/usr/{bin,sbin,lib,lib64} "$proxy"/{etc,run,tmp}
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$proxy/$folder"; done
programs=(/usr/sbin/{nft,conntrack,xtables-nft-multi,xtables-legacy-multi})
for program in "${programs[@]}"; do cp "$rootfs$program" "$proxy$program"; done
for name in {iptables,ip6tables}{,-save,-restore}; do
  ln -s xtables-nft-multi "$proxy/usr/sbin/$name"
  ln -s xtables-nft-multi "$proxy/usr/sbin/${name/tables/tables-nft}"
  ln -s xtables-legacy-multi "$proxy/usr/sbin/${name/tables/tables-legacy}"
done
extensions=$(echo "$rootfs"/usr/lib/*/xtables)
mkdir -p "$proxy${extensions#"$rootfs"}"
cp "$extensions"/*.so "$proxy${extensions#"$rootfs"}"
mapfile -t extension_files < <(find "$extensions" -name '*.so' -printf "${extensions#"$rootfs"}/%P\n")
libraries "$proxy" "${programs[@]}" "${extension_files[@]}"
image "$registry/kube-proxy:$KUBERNETES_VERSION" "$proxy" 'ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin'

install -D "$(go_program local-path-provisioner "$LOCAL_PATH_PROVISIONER_VERSION")" \
  "$work/provisioner/usr/local/bin/local-path-provisioner"
mkdir "$work/provisioner/tmp"
image docker.io/kindest/local-path-provisioner:local "$work/provisioner" 'ENV PATH=/usr/local/bin'

# the provisioner's helper makes and removes a folder by a shell script
helper=$work/helper
install -D "$rootfs/bin/dash" "$helper/bin/sh"
cp "$rootfs"/bin/{mkdir,rm} "$helper/bin/"
libraries "$helper" /bin/dash /bin/mkdir /bin/rm
image docker.io/kindest/local-path-helper:local "$helper" 'ENV PATH=/bin'

docker save "${images[@]}" -o "$1"
docker rmi "${images[@]}" > /dev/null
