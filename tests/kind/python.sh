#!/usr/bin/env bash
# Makes a Python environment with pyarrow, which reads what batches write, and prints the path of its interpreter.
. "$(dirname "$0")/common.sh"
environment=$STATE/tools/pyarrow-$PYARROW_VERSION
if ! [ -x "$environment/ready" ]; then
  python3 -c 'import ensurepip' 2> /dev/null || "$KIND_DIR/packages.sh" python3-venv >&2
  python3 -m venv --clear "$environment" >&2
  "$environment/bin/pip" install --quiet --disable-pip-version-check "pyarrow==$PYARROW_VERSION" >&2
  ln -s bin/python "$environment/ready"
fi
printf '%s\n' "$environment/bin/python"
