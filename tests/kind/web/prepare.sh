#!/usr/bin/env bash
# prepare.sh FOLDER: what the image of the test's web server holds: lighttpd and git out of Debian's packages, with the
# libraries that a slim base lacks, and a repository `docs.git` without a commit.
. "$(dirname "$0")/../common.sh"
command -v apt-get dpkg-deb > /dev/null || die "the test's web server is made of Debian packages: this needs apt-get and dpkg-deb"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/packages" "$work/root" "$work/web"

# libraries_of PACKAGE...: the libraries that packages need, without the base's, and those of git's own HTTP client
libraries_of() {
  local package
  for package in "$@"; do dpkg-deb --field "$package" Depends; done | tr ',|' '\n' | awk '{ print $1 }' \
    | grep -E '^z?lib' | grep -v -E '^(libc6|libgcc-s1|libcurl|libexpat|liberror)' | sort -u
}

# A web server that is installed would be started at boot: hence only its files.
cd "$work/packages"
wanted=(git lighttpd lighttpd-mod-openssl)
while [ "${#wanted[@]}" != 0 ]; do
  apt-get download "${wanted[@]}"
  mapfile -t needed < <(libraries_of ./*.deb)
  wanted=()
  for name in "${needed[@]}"; do compgen -G "${name}_*.deb" > /dev/null || wanted+=("$name"); done
done
for package in ./*.deb; do dpkg-deb --extract "$package" "$work/root"; done

cd "$work/web"
mkdir git-core lib repositories site
cp -L "$work/root/usr/bin/git" "$work/root/usr/lib/git-core/git-http-backend" git-core/
cp "$work/root/usr/sbin/lighttpd" "$KIND_DIR/web/lighttpd.conf" .
cp -r "$work/root/usr/lib/lighttpd" modules
find "$work/root" -name '*.so.*' -exec cp -a {} lib/ \;
git init --quiet --bare --initial-branch=main --template= repositories/docs.git
git -C repositories/docs.git config uploadpack.allowFilter true
mkdir -p "$1"
cp -r "$work/web" "$1/"
