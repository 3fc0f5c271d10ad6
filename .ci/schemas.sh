#!/usr/bin/env bash
# Makes sure that the JSON schemas of the pinned Kubernetes version, of the Prometheus operator's kinds that the chart
# uses, and of our own kinds are there, and prints the schema location for kubeconform. The OpenAPI document and the CRDs
# come with the Go modules, so nothing else is downloaded.
. "$(dirname "$0")/../tests/kind/common.sh"
. "$REPO/.ci/crds.sh"
folder=$STATE/schemas/$KUBERNETES_VERSION-$PROMETHEUS_OPERATOR_VERSION-$(cat "$0" "$REPO/.ci/schemas.py" "$REPO"/crds/*.yaml | sha256sum | cut -c1-12)

# module MODULE@VERSION: the folder of a Go module.
module() { go mod download -json "$1" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p'; }

write() {
  local kubernetes prometheus
  kubernetes=$(module "k8s.io/kubernetes@$KUBERNETES_VERSION")
  prometheus=$(module "github.com/prometheus-operator/prometheus-operator@$PROMETHEUS_OPERATOR_VERSION")
  rm -rf "$STATE/schemas"
  mkdir -p "$folder.new"
  crds_as_json "$REPO"/crds/*.yaml "$prometheus"/example/prometheus-operator-crd/*_{pod,service}monitors.yaml \
    "$prometheus"/example/prometheus-operator-crd/*_prometheusrules.yaml > "$folder.new/crds.list"
  python3 "$REPO/.ci/schemas.py" "$kubernetes/api/openapi-spec/swagger.json" "$folder.new/crds.list" "$folder.new"
  mv "$folder.new" "$folder"
}

[ -d "$folder" ] || step 'Write the JSON schemas' write >&2
# shellcheck disable=SC2016 # kubeconform's template
printf '%s/{{.ResourceKind}}{{.KindSuffix}}.json\n' "$folder"
