"""book.py: a preprocessor of mdBook. Links that leave docs/ lead to the repository, wherever the book is read."""

import json
import posixpath
import sys

from markdown import BLOB, LINK


def outward(path, content):
    """The page at `path` below docs/, with its links to other folders as addresses of the repository."""

    def lead(link):
        target = posixpath.normpath(posixpath.join("docs", posixpath.dirname(path), link[1]))
        return link[0] if ":" in link[1] or target.startswith("docs/") else f"]({BLOB}{target})"

    return LINK.sub(lead, content)


def visit(items):
    for item in items:
        if chapter := isinstance(item, dict) and item.get("Chapter"):
            if chapter["path"]:
                chapter["content"] = outward(chapter["path"], chapter["content"])
            visit(chapter["sub_items"])


def main():
    if sys.argv[1:2] == ["supports"]:
        return
    _, book = json.load(sys.stdin)
    visit(book["items"])
    json.dump(book, sys.stdout)


if __name__ == "__main__":
    main()
