#!/usr/bin/env bash
# corpus.sh FOLDER: puts English documents out of Debian packages into FOLDER, unless they are there: HTML, PDF and text.
# The packages are those of this machine's Debian, so that two machines may have slightly different documents.
set -euo pipefail
folder=$1
[ ! -e "$folder" ] || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get update -qq || true
# as root, apt would drop to a user that may not write here
apt-get -o APT::Sandbox::User=root download -qq debian-handbook debian-reference-en debian-policy debian-faq doc-debian
for package in *.deb; do dpkg-deb --extract "$package" all; done
find all -name '*.gz' \( -name '*.txt.gz' -o -name '*.pdf.gz' \) -exec gunzip --force {} +

doc=all/usr/share/doc
mkdir corpus
# put SIZE NAME FILE...: the files of at least that size, under names that tell where they come from
put() {
  local size=$1 name=$2 file
  shift 2
  for file in "$@"; do
    if [ "$(stat -Lc %s "$file")" -ge "$size" ]; then cp -L "$file" "corpus/$name-$(basename "$file")"; fi
  done
}
# smaller pages of the handbook hold little but navigation
put 11000 handbook $doc/debian-handbook/html/en-US/*.html
put 1 reference all/usr/share/debian-reference/*.en.{pdf,txt}
put 1 policy $doc/debian-policy/policy.pdf $doc/debian-policy/fhs/fhs-3.0.pdf
put 1 faq $doc/debian/FAQ/debian-faq.en.pdf
put 1 debian $doc/debian/*.txt
mkdir -p "$(dirname "$folder")"
mv corpus "$folder"
