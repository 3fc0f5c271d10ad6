#!/usr/bin/env bash
# Makes sure that the engine has an image with Python for the example worker, and records its name in
# $STATE/run/python-image: the public one where it can be pulled, else our own base with Debian's packages on top.
. "$(dirname "$0")/common.sh"
. "$KIND_DIR/either-image.sh"
use_engine

base=$(cat "$STATE/run/base-image")
made=lexigram-python:$( (echo "$base"; cat "$0") | sha256sum | cut -c1-12)

make() {
  local root package version
  root=$(mktemp -d)
  cd "$root"
  mkdir packages root
  apt-cache show python3-minimal > /dev/null 2>&1 || apt-get update -qq
  version=$(apt-cache show python3-minimal | sed -n 's/^Pre-Depends:.*\(python3\.[0-9]*\)-minimal.*/\1/p' | head -n 1)
  (cd packages && apt-get download "$version-minimal" "lib$version-minimal" "lib$version-stdlib" libexpat1 zlib1g)
  for package in packages/*.deb; do dpkg-deb --extract "$package" root; done
  # Debian has moved /lib into /usr/lib, some packages have not
  if [ -d root/lib ]; then cp -r root/lib/. root/usr/lib/; fi
  ln -s "$version" root/usr/bin/python3
  rm -rf root/usr/share
  printf 'FROM %s\nCOPY root/usr /usr\nENV PATH=/usr/bin\n' "$base" > Dockerfile
  docker build --quiet --tag "$made" .
  rm -rf "$root"
}
either_image python-image "$PYTHON_IMAGE" "$made" Python
