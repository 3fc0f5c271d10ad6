# Sourced by the scripts that read CustomResourceDefinitions: kubectl reads YAML, Python's library does not.
# shellcheck shell=bash

# crds_as_json FILE...: a JSON list of the objects in these files.
crds_as_json() {
  local file crds=()
  for file in "$@"; do
    crds+=("$(kubectl label --local --dry-run=client --output json --filename "$file" read-by=ci)")
  done
  (IFS=,; printf '[%s]' "${crds[*]}")
}
