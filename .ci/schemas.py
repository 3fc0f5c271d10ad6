"""schemas.py SWAGGER CRDS FOLDER: JSON schemas for kubeconform, without a download.

SWAGGER is the OpenAPI document of a Kubernetes version (part of its Go module), CRDS a JSON list of
CustomResourceDefinitions. FOLDER gets one file per kind, under the names that kubeconform looks up. As in its strict
schemas, a field that a type does not know is an error.
"""

import json
import pathlib
import sys


def closed(schema):
    """The schema with every object of known fields closed to others."""
    if schema.get("format") == "int-or-string" or schema.get("x-kubernetes-int-or-string"):
        return {"oneOf": [{"type": "string"}, {"type": "integer"}]}
    schema = dict(schema)
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            schema[inner] = closed(schema[inner])
    if "properties" in schema:
        schema["properties"] = {name: closed(value) for name, value in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
    return schema


def write(folder, group, version, kind, schema):
    """One file for a kind, named as kubeconform does: of a group only the first word, of the core group nothing."""
    name = "-".join(part for part in (kind.lower(), group.split(".")[0], version) if part)
    (folder / f"{name}.json").write_text(json.dumps(schema))


def main(swagger, crds, folder):
    folder = pathlib.Path(folder)
    definitions = json.loads(pathlib.Path(swagger).read_text())["definitions"]
    definitions = {name: closed(definition) for name, definition in definitions.items()}
    # the document says "string", the server takes numbers too
    definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = {"oneOf": [{"type": "string"}, {"type": "number"}]}
    (folder / "_definitions.json").write_text(json.dumps({"definitions": definitions}))
    for name, definition in definitions.items():
        for gvk in definition.get("x-kubernetes-group-version-kind", []):
            reference = {"$ref": f"_definitions.json#/definitions/{name}"}
            write(folder, gvk["group"], gvk["version"], gvk["kind"], reference)
    for crd in json.loads(pathlib.Path(crds).read_text()):
        spec = crd["spec"]
        for version in spec["versions"]:
            schema = closed(version["schema"]["openAPIV3Schema"])
            schema["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
            write(folder, spec["group"], version["name"], spec["names"]["kind"], schema)


if __name__ == "__main__":
    main(*sys.argv[1:])
