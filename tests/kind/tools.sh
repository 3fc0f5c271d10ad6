#!/usr/bin/env bash
# tools.sh NAME...: makes sure that each of these commands is there: PATH's own where its version fits, else a build.
. "$(dirname "$0")/common.sh"
. "$KIND_DIR/go.sh"

# installed NAME: the version that PATH offers, empty where there is none.
installed() {
  case $1 in
    kind) kind version -q ;;
    helm) helm version --template '{{.Version}}' ;;
    kubectl) kubectl version --client -o yaml | sed -n 's/^ *gitVersion: //p' ;;
    kubeconform) kubeconform -v ;;
    versitygw) versitygw --version | sed -n 's/^Version *: //p' ;;
  esac 2>/dev/null | sed 's/^v//' || true
}

# fits NAME VERSION: whether it does for us. kubectl may differ from the server by one minor version; kind must be at
# least the one whose node images we use; the chart is checked with Helm 3.
fits() {
  local minor
  minor=$(cut -d. -f2 <<< "$KUBERNETES_VERSION")
  case $1 in
    kind) version_between "$2" "${KIND_VERSION#v}" 1 ;;
    helm) version_between "$2" 3.14 4 ;;
    kubectl) version_between "$2" "1.$((minor - 1))" "1.$((minor + 2))" ;;
    kubeconform) version_between "$2" 0.6 1 ;;
    helm-unittest) false ;; # it does not tell its version
    versitygw) version_between "$2" 1.0 2 ;;
  esac
}

build() {
  case $1 in
    kind) go_install kind sigs.k8s.io/kind "$KIND_VERSION" ;;
    helm) go_install helm helm.sh/helm/v3/cmd/helm "$HELM_VERSION" ;;
    kubectl) kubernetes_build kubectl ;;
    kubeconform) go_install kubeconform github.com/yannh/kubeconform/cmd/kubeconform "$KUBECONFORM_VERSION" ;;
    helm-unittest) go_build helm-unittest github.com/helm-unittest/helm-unittest/cmd/helm-unittest "$HELM_UNITTEST_VERSION" ;;
    versitygw) go_install versitygw github.com/versity/versitygw/cmd/versitygw "$VERSITYGW_VERSION" ;;
  esac
}

for tool in "$@"; do
  case $tool in
    kind) version=$KIND_VERSION ;;
    helm) version=$HELM_VERSION ;;
    kubectl) version=$KUBERNETES_VERSION ;;
    kubeconform) version=$KUBECONFORM_VERSION ;;
    helm-unittest) version=$HELM_UNITTEST_VERSION ;;
    versitygw) version=$VERSITYGW_VERSION ;;
    *) die "there is no recipe for $tool" ;;
  esac
  program=$(go_program "$tool" "$version")
  if [ "$(readlink "$STATE/bin/$tool")" = "$program" ] && [ -x "$program" ]; then continue; fi
  # an older one of ours does not count
  rm -f "$STATE/bin/$tool"
  if fits "$tool" "$(installed "$tool")"; then continue; fi
  [ -x "$program" ] || step "Build $tool $version" build "$tool"
  ln -s "$program" "$STATE/bin/$tool"
done
