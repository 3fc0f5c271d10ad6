#!/usr/bin/env bash
# packages.sh NAME...: installs what is missing of some Debian packages.
. "$(dirname "$0")/common.sh"

missing=()
for package in "$@"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ "${#missing[@]}" != 0 ] || exit 0

command -v apt-get > /dev/null || die "this needs the programs of the Debian packages ${missing[*]}: install them and try again"
[ "$(id -u)" = 0 ] || die "root is needed to install the Debian packages ${missing[*]}: run 'apt-get install ${missing[*]}' as root, then try again"

# The engine's package would start an engine of its own where there is an init. An existing policy is the
# administrator's, so it stays as it is.
if [ ! -e /usr/sbin/policy-rc.d ]; then
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
  chmod +x /usr/sbin/policy-rc.d
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}"
