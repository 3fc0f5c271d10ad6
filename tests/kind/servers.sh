# Sourced: the real servers that crate tests start by themselves.
# shellcheck shell=bash
"$KIND_DIR/tools.sh" versitygw >&2
LEXIGRAM_VERSITYGW=$(command -v versitygw)
LEXIGRAM_POSTGRES=$("$REPO/worker-image/postgres.sh")
export LEXIGRAM_VERSITYGW LEXIGRAM_POSTGRES
[ -x "$(git --exec-path)/git-http-backend" ] || "$KIND_DIR/packages.sh" git >&2
