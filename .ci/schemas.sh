#!/usr/bin/env bash
# Makes sure that the JSON schemas of the pinned Kubernetes version and of our own kinds are there, and prints the
# schema location for kubeconform. The OpenAPI document comes with the Go module, so nothing else is downloaded.
. "$(dirname "$0")/../tests/kind/common.sh"
folder=$STATE/schemas/$KUBERNETES_VERSION-$(cat "$0" "$REPO/.ci/schemas.py" "$REPO"/crds/*.yaml | sha256sum | cut -c1-12)

write() {
  local module
  module=$(go mod download -json "k8s.io/kubernetes@$KUBERNETES_VERSION" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  rm -rf "$STATE/schemas"
  mkdir -p "$folder.new"
  # kubectl reads YAML, Python's library does not
  local crd crds=()
  for crd in "$REPO"/crds/*.yaml; do
    crds+=("$(kubectl label --local --dry-run=client --output json --filename "$crd" read-by=schemas)")
  done
  (IFS=,; printf '[%s]' "${crds[*]}") > "$folder.new/crds.list"
  python3 "$REPO/.ci/schemas.py" "$module/api/openapi-spec/swagger.json" "$folder.new/crds.list" "$folder.new"
  mv "$folder.new" "$folder"
}

[ -d "$folder" ] || step 'Write the JSON schemas' write >&2
# shellcheck disable=SC2016 # kubeconform's template
printf '%s/{{.ResourceKind}}{{.KindSuffix}}.json\n' "$folder"
