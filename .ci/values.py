"""The chart's values.yaml and its schema, as the reference needs them. Reads the file's own style, not all of YAML."""

import collections
import re

Value = collections.namedtuple("Value", "path default comment")
Line = collections.namedtuple("Line", "depth name default comment")
KEY = re.compile(r"( *)(\w+):(?: (.*))?$")


def keys(text):
    """Each key with what stands behind it and the comment before it, in the order of the file."""
    comment = []
    for line in text.splitlines():
        if line.strip().startswith("#"):
            comment.append(line.strip().lstrip("# "))
            continue
        if key := KEY.match(line):
            yield Line(len(key[1]), key[2], key[3] or "", " ".join(comment))
        comment = []


def read(text):
    """A Value for each key with a comment. One without is a group of such keys, or part of the value above."""
    lines, above, found = collections.deque(keys(text)), [], []
    while lines:
        line = lines.popleft()
        above = [*(entry for entry in above if entry.depth < line.depth), line]
        path, default = ".".join(entry.name for entry in above), line.default
        if line.comment and not default and not lines[0].comment:
            parts = []
            while lines and lines[0].depth > line.depth:
                part = lines.popleft()
                parts.append(f"{part.name}: {part.default}")
            default = f"{{{', '.join(parts)}}}"
        elif default and not line.comment:
            raise SystemExit(f"values.yaml: {path} has no comment")
        if line.comment:
            found.append(Value(path, default, line.comment))
    return found


def schema_of(schema, path):
    """The part of the schema that is about a value."""
    here = schema
    for name in path.split("."):
        here = here["properties"][name]
        while "$ref" in here:
            here = schema["definitions"][here["$ref"].rsplit("/", 1)[1]]
    return here
