"""What the scripts for the documentation read out of Markdown."""

import re

REPOSITORY = "https://github.com/lexigram/lexigram-workers"
# what leads to a file of the repository
BLOB = f"{REPOSITORY}/blob/main/"
LINK = re.compile(r"\]\(([^()\s]+)\)")
FENCE = re.compile(r"^ *(```+|~~~+)")
CODE = re.compile(r"`[^`]*`")


def prose(text):
    """The lines of a page, those within code blocks empty."""
    fence = None
    for line in text.splitlines():
        mark = FENCE.match(line)
        if fence is None and not mark:
            yield line
            continue
        yield ""
        if fence is None:
            fence = mark[1]
        elif mark and mark[1].startswith(fence):
            fence = None


def links(text):
    """The targets of a page's links, each with its line number."""
    for number, line in enumerate(prose(text), 1):
        for target in LINK.findall(CODE.sub("", line)):
            yield number, target


def anchors(text):
    """The names under which a page's headings can be reached, as GitHub and mdBook make them."""
    found = set()
    for line in prose(text):
        if heading := re.match(r"#+ +(.*?) *#*$", line):
            words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading[1]).lower()
            name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
            found.add(name if name not in found else next(f"{name}-{n}" for n in range(1, 99) if f"{name}-{n}" not in found))
    return found
