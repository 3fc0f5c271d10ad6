#!/usr/bin/env bash
# Every check that needs no cluster. `just verify` writes the generated files first, so that the last check finds any
# that were not committed.
. "$(dirname "$0")/../tests/kind/common.sh"
cd "$REPO"
chart=charts/lexigram-workers

# cargo_tool NAME VERSION OPTION...: builds a tool from crates.io and puts it on PATH
cargo_tool() {
  local name=$1 version=$2 root=$STATE/tools/$1-$2
  shift 2
  [ -x "$root/bin/$name" ] || env -u CARGO_TARGET_DIR cargo install --locked --root "$root" "$@" "$name@$version"
  ln -sf "$root/bin/$name" "$STATE/bin/$name"
}

# advisories: the RustSec database is a git repository, which not every machine reaches
advisories() {
  if ! timeout 120 cargo deny --locked fetch db > "$STATE/logs/advisory-database.log" 2>&1; then
    say '==> Security advisories: NOT CHECKED, since the database could not be fetched'
    say "    $(tail -n 1 "$STATE/logs/advisory-database.log" | cut -c1-160)"
    return
  fi
  step 'Security advisories: cargo deny check advisories' cargo deny --locked check --disable-fetch advisories
}

# check_chart VALUES...: lints the chart with one values file and validates every manifest that it renders
check_chart() {
  local values=()
  [ "$#" = 0 ] || values=(--values "$1")
  helm lint --strict "$chart" "${values[@]}"
  helm template lexigram "$chart" --namespace lexigram-system --kube-version "$KUBERNETES_VERSION" --include-crds "${values[@]}" \
    | kubeconform -strict -summary -schema-location "$schemas"
}

# the queries of the dashboard are read as rules are; whether their metrics exist is a test of the operator
check_rules() {
  promtool check rules "$chart/files/rules.yaml"
  promtool test rules "$chart/tests/alerts.yaml"
  python3 .ci/dashboard.py "$chart/files/dashboard.json" | promtool check rules /dev/stdin
}

# what mdBook only warns of is an error here
build_book() {
  local said
  said=$(mdbook build docs --dest-dir "${CARGO_TARGET_DIR:-$REPO/target}/book" 2>&1) || { say "$said"; return 1; }
  say "$said"
  [[ ! $said =~ WARN|ERROR ]]
}

check_tree() {
  if ! git diff --exit-code --stat; then
    echo "These files differ from the commit. If 'just generate' or 'just fmt' made the change, commit it."
    return 1
  fi
  local untracked
  untracked=$(git ls-files --others --exclude-standard)
  if [ -n "$untracked" ]; then
    printf 'These files are not in git: commit, ignore or remove them.\n%s\n' "$untracked"
    return 1
  fi
}

command -v shellcheck > /dev/null || step 'Install ShellCheck' "$KIND_DIR/packages.sh" shellcheck
command -v promtool > /dev/null || step 'Install promtool' "$KIND_DIR/packages.sh" prometheus
"$KIND_DIR/tools.sh" helm kubectl kubeconform helm-unittest
if [ "$(cargo deny --version 2>/dev/null)" != "cargo-deny $CARGO_DENY_VERSION" ]; then
  step "Build cargo-deny $CARGO_DENY_VERSION" cargo_tool cargo-deny "$CARGO_DENY_VERSION"
fi
if [ "$(mdbook --version 2>/dev/null)" != "mdbook v$MDBOOK_VERSION" ]; then
  step "Build mdBook $MDBOOK_VERSION" cargo_tool mdbook "$MDBOOK_VERSION" --no-default-features --features search
fi

step 'Format: cargo fmt --check' cargo fmt --all --check
step 'Lints: cargo clippy' cargo clippy --locked --workspace --all-targets -- -D warnings
step 'Documentation: cargo doc' env RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps
step 'Licences, sources, versions: cargo deny check' cargo deny --locked check licenses bans sources
advisories

schemas=$("$REPO/.ci/schemas.sh")
step 'Chart with its default values' check_chart
for values in "$chart"/ci/*.yaml; do step "Chart with $values" check_chart "$values"; done
step 'Chart: helm-unittest' helm-unittest --strict "$chart"
step 'Alerts and dashboard: promtool' check_rules
step 'Links, pages, runbooks, folders' python3 .ci/docs.py
step 'Book: mdbook build' build_book
step 'Examples' kubeconform -strict -summary -schema-location "$schemas" examples

mapfile -t scripts < <(git ls-files '*.sh' '*.env' .ci/run tests/kind/runc-without-sys-resource)
step 'Shell scripts: shellcheck' shellcheck "${scripts[@]}"
step 'Nothing uncommitted' check_tree
