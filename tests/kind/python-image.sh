#!/usr/bin/env bash
# Makes sure that the engine has an image with Python for the example worker, and records its name in
# $STATE/run/python-image: the public one where it can be pulled, else our own base with Debian's packages on top.
. "$(dirname "$0")/common.sh"
use_engine

base=$(cat "$STATE/run/base-image")
made=lexigram-python:$( (echo "$base"; cat "$0") | sha256sum | cut -c1-12)
use() { printf '%s\n' "$1" > "$STATE/run/python-image"; exit 0; }
present() { docker image inspect "$1" > /dev/null 2>&1; }

if present "$PYTHON_IMAGE"; then use "$PYTHON_IMAGE"; fi
if present "$made"; then use "$made"; fi
if timeout 300 docker pull --quiet "$PYTHON_IMAGE" > "$STATE/logs/pull-python-image.log" 2>&1; then use "$PYTHON_IMAGE"; fi
command -v apt-get dpkg-deb > /dev/null \
  || die "$PYTHON_IMAGE cannot be pulled (see $STATE/logs/pull-python-image.log), and only on Debian another one can be made"

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
step 'Make a Python image from Debian packages' make
use "$made"
