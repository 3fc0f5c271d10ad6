# Sourced by the scripts that see to an image which ours are made of: the public one where it can be pulled, else one from
# Debian's packages.
# shellcheck shell=bash

# either_image NAME PUBLIC MADE WHAT: makes sure that the engine has the image PUBLIC, or MADE by the function `make`, and
# records which one in $STATE/run/NAME
either_image() {
  local name=$1 public=$2 made=$3 what=$4 use
  present() { docker image inspect "$1" > /dev/null 2>&1; }
  if present "$public"; then
    use=$public
  elif present "$made"; then
    use=$made
  elif timeout 300 docker pull --quiet "$public" > "$STATE/logs/pull-$name.log" 2>&1; then
    use=$public
  else
    command -v apt-get dpkg-deb > /dev/null \
      || die "$public cannot be pulled (see $STATE/logs/pull-$name.log), and only on Debian another one can be made"
    step "Make a $what image from Debian packages" make
    use=$made
  fi
  printf '%s\n' "$use" > "$STATE/run/$name"
}
