# Sourced: programs built from the Go module proxy. Each lands in $STATE/tools under its name and version, so that a
# new pin means a new build and nothing else is built twice.
# shellcheck shell=bash
export CGO_ENABLED=0 GOFLAGS='-trimpath -mod=mod'

# go_program NAME VERSION: the path of such a program.
go_program() { printf '%s/tools/%s-%s' "$STATE" "$1" "$2"; }

# go_install NAME PACKAGE VERSION: builds the main package of a module that has no replace directives.
go_install() {
  local target temporary
  target=$(go_program "$1" "$3")
  [ ! -x "$target" ] || return 0
  temporary=$(mktemp -d)
  GOBIN=$temporary go install -ldflags '-s -w' "$2@$3"
  mkdir -p "$STATE/tools"
  mv "$temporary"/* "$target"
  rmdir "$temporary"
}

# go_build NAME PACKAGE VERSION: the same for a module whose replace directives `go install` refuses, or whose
# program has another name than its package: built as a dependency of an empty module. Replace directives hold in a main
# module only, so those that name a published module are taken over.
go_build() {
  local target module
  target=$(go_program "$1" "$3")
  [ ! -x "$target" ] || return 0
  module=$(mktemp -d)
  (
    cd "$module" || exit
    go mod init example.test/build
    go get "$2@$3"
    sed -n '/^replace .* => [^.].* v/p' "$(go list -f '{{.Module.GoMod}}' "$2")" >> go.mod
    go build -ldflags '-s -w' -o "$target" "$2"
  )
  rm -rf "$module"
}

# kubernetes_build COMMAND...: programs of the module k8s.io/kubernetes, in one build. Its replace directives point
# into its own staging folder, which the proxy does not serve, so ours point at the published modules instead.
kubernetes_build() {
  local commands=() command module upstream package=k8s.io/component-base/version staging=${KUBERNETES_VERSION/v1./v0.}
  for command in "$@"; do
    [ -x "$(go_program "$command" "$KUBERNETES_VERSION")" ] || commands+=("$command")
  done
  [ "${#commands[@]}" != 0 ] || return 0
  upstream=$(go mod download -json "k8s.io/kubernetes@$KUBERNETES_VERSION" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
  module=$(mktemp -d)
  (
    cd "$module" || exit
    {
      printf 'module example.test/kubernetes\n\ngo 1.26.0\n\nrequire k8s.io/kubernetes %s\n\nreplace (\n' "$KUBERNETES_VERSION"
      sed -nE "s#^\s+(k8s.io/[a-z-]+) => ./staging.*#\t\1 => \1 $staging#p" "$upstream"
      printf ')\n'
    } > go.mod
    # without the -X flags, every program calls itself v0.0.0
    mkdir bin
    go build -o bin/ -ldflags "-s -w -X $package.gitVersion=$KUBERNETES_VERSION -X $package.gitMajor=1
      -X $package.gitMinor=$(cut -d. -f2 <<< "$KUBERNETES_VERSION") -X $package.gitTreeState=clean
      -X $package.gitCommit=module -X $package.buildDate=1970-01-01T00:00:00Z" "${commands[@]/#/k8s.io/kubernetes/cmd/}"
    mkdir -p "$STATE/tools"
    for command in "${commands[@]}"; do mv "bin/$command" "$(go_program "$command" "$KUBERNETES_VERSION")"; done
  )
  rm -rf "$module"
}
