#!/usr/bin/env bash
# demo.sh [cluster=kind|cluster=existing]: from nothing to a document found by its meaning.
. "$(dirname "$0")/common.sh"
namespace=default

case ${1:-cluster=kind} in
  cluster=kind | kind)
    "$KIND_DIR/up.sh"
    "$KIND_DIR/images.sh"
    eval "$("$KIND_DIR/env.sh")"
    operator_image=lexigram-operator:dev
    worker_image=lexigram-worker:dev
    # the tag stays, so this is what tells a running operator to be replaced by a new build
    build=$(docker image inspect --format '{{.Id}}' "$operator_image")
    ;;
  cluster=existing | existing)
    operator_image=$LEXIGRAM_OPERATOR_IMAGE
    worker_image=$LEXIGRAM_WORKER_IMAGE
    build=$operator_image
    if [ -z "$operator_image" ] || [ -z "$worker_image" ]; then die "your cluster has to pull the images from somewhere: run
  'just images', push lexigram-operator:dev and lexigram-worker:dev to a registry that it reaches, and set
  LEXIGRAM_OPERATOR_IMAGE and LEXIGRAM_WORKER_IMAGE to their names there"; fi
    "$KIND_DIR/tools.sh" kubectl helm
    say "==> Using the cluster $(kubectl config current-context)"
    ;;
  *) die "'$1' is not a cluster: use cluster=kind (a new one on this machine) or cluster=existing (that of KUBECONFIG)" ;;
esac

install_chart() {
  # repository and tag, also where the registry has a port
  helm upgrade --install lexigram "$REPO/charts/lexigram-workers" --namespace lexigram-system --create-namespace \
    --set-string "operator.image.repository=${operator_image%:*},operator.image.tag=${operator_image##*:}" \
    --set-string "worker.image.repository=${worker_image%:*},worker.image.tag=${worker_image##*:}" \
    --set-string "operator.podAnnotations.build=$build" --set imagePullPolicy=IfNotPresent --wait --timeout 180s
}

# ingest: shows the object's line as it moves, until the job is complete
ingest() {
  local watch
  kubectl --namespace "$namespace" get ingestionjobs.workers.lexigram.dev handbook --watch &
  watch=$!
  if ! kubectl --namespace "$namespace" wait ingestionjobs.workers.lexigram.dev/handbook --for=condition=Complete \
    --timeout=300s > /dev/null; then
    kill "$watch"
    kubectl --namespace "$namespace" describe ingestionjobs.workers.lexigram.dev handbook
    kubectl --namespace lexigram-system logs deployment/lexigram-operator --tail=10
    die 'the job did not complete within 300 s; what the job and the operator say is above'
  fi
  kill "$watch"
  wait "$watch" 2> /dev/null || true
}

# search: the worker's own search, in a Pod that mounts the store
search() {
  local pod=$REPO/examples/search-pod.yaml
  kubectl --namespace "$namespace" delete --filename "$pod" --ignore-not-found > /dev/null
  sed "s|^\( *image: \).*|\1$worker_image|" "$pod" \
    | kubectl --namespace "$namespace" create --filename - > /dev/null
  say "    question: $(kubectl --namespace "$namespace" get pod search -o jsonpath='{.spec.containers[0].args[3]}')"
  if ! kubectl --namespace "$namespace" wait pod/search --for=jsonpath='{.status.phase}'=Succeeded --timeout=60s > /dev/null; then
    kubectl --namespace "$namespace" describe pod search
    kubectl --namespace "$namespace" logs search || true
    die 'the search did not end within 60 s; the Pod is described above'
  fi
  kubectl --namespace "$namespace" logs search
  kubectl --namespace "$namespace" delete pod search --wait=false > /dev/null
}

# shown NAME COMMAND...: a step whose output is what the demo is about
shown() {
  local name=$1 start=$EPOCHREALTIME
  shift
  say "==> $name"
  "$@"
  say "    $(seconds "$start") s"
}

begin=$EPOCHREALTIME
step 'Install the chart' install_chart
step 'Apply examples/handbook.yaml' kubectl --namespace "$namespace" apply --filename "$REPO/examples/handbook.yaml"
shown 'Watch the job: kubectl get ij handbook --watch' ingest
shown 'Search: kubectl apply -f examples/search-pod.yaml' search
say "==> Done $(seconds "$begin") s after the cluster was ready"
