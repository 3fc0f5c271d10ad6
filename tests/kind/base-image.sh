#!/usr/bin/env bash
# Makes sure that the engine has a base for our images, and records its name in $STATE/run/base-image: the public one
# where it can be pulled, else one from the same few Debian packages. Our binaries are built on this machine, so a base
# from this machine's own packages has the C library that they were linked with.
. "$(dirname "$0")/common.sh"
. "$KIND_DIR/either-image.sh"
use_engine

made=lexigram-base:$(. /etc/os-release; printf '%s-%s' "$ID" "$VERSION_ID")-$(sha256sum < "$0" | cut -c1-12)

make() {
  local root package
  root=$(mktemp -d)
  cd "$root"
  mkdir packages root
  (cd packages && apt-get download libc6 libgcc-s1 ca-certificates)
  for package in packages/*.deb; do dpkg-deb --extract "$package" root; done
  # what the packages' own scripts would do
  mkdir -p root/etc/ssl/certs root/home/nonroot root/tmp
  cat root/usr/share/ca-certificates/mozilla/*.crt > root/etc/ssl/certs/ca-certificates.crt
  chmod 1777 root/tmp
  chown 65532:65532 root/home/nonroot
  # the names that distroless images give to their user
  printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' > root/etc/passwd
  printf 'root:x:0:\nnonroot:x:65532:\n' > root/etc/group
  printf 'hosts: files dns\n' > root/etc/nsswitch.conf
  # programs, character sets and texts that no binary of ours reads
  rm -rf root/usr/{bin,sbin} root/usr/share root/usr/lib/*/{gconv,audit}
  tar -C root --numeric-owner -c . | docker import --change 'USER 65532:65532' - "$made"
  rm -rf "$root"
}
either_image base-image "$BASE_IMAGE" "$made" base
