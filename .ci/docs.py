"""docs.py: compares the documentation with the repository. Prints what does not hold, and fails then.

Every link leads somewhere, within README, docs and the alerts; every page is in the book; every alert has its
runbook; the page on architecture names every folder of source code, and no other.
"""

import pathlib
import re
import subprocess
import sys

from markdown import BLOB, anchors, links

SUMMARY = pathlib.Path("docs/SUMMARY.md")
ARCHITECTURE = pathlib.Path("docs/architecture.md")
ALERTS = pathlib.Path("charts/lexigram-workers/files/rules.yaml")
RUNBOOKS = "docs/runbooks.md"
# folders of which each one below is named
SOURCES = ["operator/api/src", "operator/src", "operator/src/controller", "worker-image/src", "tests/suites"]
# places that hold folders of source code and no code themselves
TOPS = ["operator", "worker-image", "benches", "tests", "charts"]


def files(*patterns):
    """The files of the repository, those included that are not committed yet."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [path for path in map(pathlib.Path, listed.splitlines()) if path.exists()]


def broken(page, line, target):
    """What is wrong with a link of a page."""
    if target.startswith(BLOB):
        path, _, anchor = target.removeprefix(BLOB).partition("#")
        path = pathlib.Path(path)
    elif ":" in target:
        return
    else:
        path, _, anchor = target.partition("#")
        path = page.parent / path if path else page
    if not path.exists():
        yield f"{page}:{line}: {target}: there is no such file"
    elif anchor and anchor not in anchors(path.read_text()):
        yield f"{page}:{line}: {target}: there is no such heading"


def broken_links():
    for page in files("*.md"):
        for line, target in links(page.read_text()):
            yield from broken(page, line, target)
    for page in files("charts", "docs/book.toml"):
        for line, text in enumerate(page.read_text().splitlines(), 1):
            for target in re.findall(re.escape(BLOB) + r"[^\s\"'`)]+", text):
                yield from broken(page, line, target)


def pages_left_out():
    listed = {SUMMARY.parent / target for _, target in links(SUMMARY.read_text())}
    for page in files("docs/*.md"):
        if page != SUMMARY and page not in listed:
            yield f"{SUMMARY}: {page} is left out"


def alerts_without_runbook():
    text = ALERTS.read_text()
    for alert in re.findall(r"- alert: (\w+)", text):
        if f"runbook_url: {BLOB}{RUNBOOKS}#{alert.lower()}\n" not in text:
            yield f"{ALERTS}: {alert} has no runbook_url that leads to its heading in {RUNBOOKS}"


def architecture():
    named = {pathlib.Path(path) for path in re.findall(r"`([\w./-]+)/`", ARCHITECTURE.read_text())}
    for path in sorted(named):
        if not path.is_dir():
            yield f"{ARCHITECTURE}: there is no folder {path}/"
    folders = {parent for path in files() for parent in path.parents}
    for folder in sorted(folders):
        if str(folder.parent) in SOURCES + TOPS + ["."] and folder.name and not folder.name.startswith("."):
            if folder not in named:
                yield f"{ARCHITECTURE}: {folder}/ is not named"


def main():
    complaints = [*broken_links(), *pages_left_out(), *alerts_without_runbook(), *architecture()]
    print("\n".join(complaints))
    sys.exit(bool(complaints))


if __name__ == "__main__":
    main()
