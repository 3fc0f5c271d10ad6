#!/usr/bin/env bash
# Builds the two images, those of the tests' database and web server, and that of the example worker, where their inputs
# changed, and loads them into the cluster where it has others.
# The binaries are built by cargo on this machine and copied in.
. "$(dirname "$0")/common.sh"

start=$EPOCHREALTIME
say '==> Build the binaries and tests: cargo build'
# The tests too, since cargo compiles shared dependencies with the features that all chosen targets ask for: the same
# choice everywhere means that each is compiled once.
(cd "$REPO" && cargo build --locked --workspace --bins --tests)
say "    $(seconds "$start") s"
timed 'Build the binaries and tests' "$start"

exclusively
need_engine
label=dev.lexigram.inputs   # what an image was built from; a file of the same name on the node says what is loaded
"$KIND_DIR/base-image.sh"
base=$(cat "$STATE/run/base-image")
"$KIND_DIR/python-image.sh"
python=$(cat "$STATE/run/python-image")
model=$("$REPO/worker-image/model.sh")
binaries=${CARGO_TARGET_DIR:-$REPO/target}/debug
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$REPO/Cargo.toml")
revision=$(git -C "$REPO" rev-parse HEAD 2>/dev/null || echo unknown)

# build NAME DOCKERFILE CONTEXT INPUTS BASE
build() {
  docker build --quiet --tag "$1:dev" --file "$2" --build-arg BASE="$5" --build-arg VERSION="$version" \
    --build-arg REVISION="$revision" --label "$label=$4" "$3"
}

# load NAME INPUTS
load() {
  kind load docker-image --name "$CLUSTER" "$1:dev"
  docker exec --interactive "$NODE" tee "/kind/$label.$1" <<< "$2"
}

# up_to_date NAME INPUTS: whether the engine has the image, made from these inputs
up_to_date() { [ "$(docker image inspect --format "{{index .Config.Labels \"$label\"}}" "$1:dev" 2>/dev/null)" = "$2" ]; }

for name in lexigram-operator lexigram-worker lexigram-postgres lexigram-web lexigram-own-worker; do
  context=$STATE/images/$name
  rm -rf "$context"
  mkdir -p "$context"
  from=$base
  case $name in
    lexigram-postgres | lexigram-web)
      folder=$KIND_DIR/${name#lexigram-}
      inputs=$( (cat "$folder"/*; echo "$base $POSTGRES_VERSION") | sha256sum | cut -c1-32)
      up_to_date "$name" "$inputs" || step "Prepare the tests' ${name#lexigram-}" "$folder/prepare.sh" "$context"
      ;;
    lexigram-own-worker)
      from=$python
      folder=$REPO/examples/own-worker
      cp "$folder/worker.py" "$context/"
      inputs=$( (cat "$folder"/*; echo "$from") | sha256sum | cut -c1-32)
      ;;
    *)
      strip -o "$context/$name" "$binaries/$name"
      folder=$REPO/operator
      if [ "$name" = lexigram-worker ]; then
        folder=$REPO/worker-image
        mkdir "$context/models"
        cp --recursive --link "$model" "$context/models/"
      fi
      inputs=$( (sha256sum < "$context/$name"; cat "$folder/Dockerfile" "$REPO/worker-image/model.sha256"; echo "$base $version") \
        | sha256sum | cut -c1-32)
      ;;
  esac

  up_to_date "$name" "$inputs" || step "Build the image $name:dev" build "$name" "$folder/Dockerfile" "$context" "$inputs" "$from"
  if docker container inspect "$NODE" > /dev/null 2>&1 \
    && [ "$(docker exec "$NODE" cat "/kind/$label.$name" 2>/dev/null)" != "$inputs" ]; then
    step "Load $name:dev into the cluster" load "$name" "$inputs"
  fi
  rm -rf "$context"
done
# earlier builds that have lost their name
docker image prune --force --filter "label=$label" > /dev/null
