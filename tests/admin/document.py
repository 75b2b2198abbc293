#!/usr/bin/env python3
"""docs/api.md, written from what the running daemon says of itself at /api/v1/openapi.json. Prints it."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

HEAD = """# The admin API

Written by `make docs` from the daemon's own `/api/v1/openapi.json`: do not edit.

HTTP on the address of `--admin-listen` (default 127.0.0.1:9150). JSON is UTF-8. Times are RFC 3339 strings (`*_at`,
`time`) or seconds; a ratio with nothing to divide is `null`; integers that may pass 2^53 (`cas`) are strings.

- **Keys** are bytes. In a path they are percent-encoded, slashes too; `?enc=b64url` takes them as base64url. Answers
  have `key` (null when it is not UTF-8) and always `key_b64`.
- **Errors** are `application/problem+json` (RFC 9457), with `errors[]` naming the fields at fault.
- **Lists** are walked by `next_cursor`; a page may be short, or empty, and still have one. Cursors belong to their
  filter and to this run of the daemon.
- **ETag** of an item is its CAS; `If-Match` and `If-None-Match` are honoured. `HEAD` is answered wherever `GET` is.
- **Refused** are: a Host other than localhost, 127.0.0.1 or [::1] with the admin port (421); changes and values asked
  for by another site's page (403); changes without `Content-Type: application/json` (415); bodies over 64 KiB (413);
  unknown query parameters (400); a method that a path does not have (405). There are no CORS headers.
- **Roles**, lowest first: open, metrics, read, read-values, admin. All are granted on the loopback address.
- **Slow clients** are cut off: 5 s for a header, 15 s for a body, 30 s for reading a reply or being idle.
- With `-X` keys and values are hidden (403), with `-F` flushing is refused (403).

Every counter's own meaning is at `/api/v1/metrics-meta` and in [metrics.md](metrics.md).
"""


def cell(text):
    return text.replace("|", "\\|").replace("\n", " ")


def type_of(schema):
    """A schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "allOf" in schema:
        return " and ".join(type_of(part) for part in schema["allOf"])
    names = schema.get("type", "any")
    names = names if isinstance(names, list) else [names]
    if "array" in names and "items" in schema:
        names = [f"array of {type_of(schema['items'])}" if name == "array" else name for name in names]
    if "object" in names and isinstance(schema.get("additionalProperties"), dict):
        names = [f"object of {type_of(schema['additionalProperties'])}" if name == "object" else name for name in names]
    text = " or ".join(names)
    bounds = [f"{sign} {schema[key]}" for key, sign in (("minimum", ">="), ("maximum", "<=")) if key in schema]
    return text + (f" ({', '.join(bounds)})" if bounds else "")


def body_of(content):
    return next((type_of(part["schema"]) if media.endswith("json") else f"`{media}`" for media, part in content.items()), "nothing")


def operation_lines(path, method, operation):
    yield f"\n### {method.upper()} {path}\n"
    yield f"{operation['summary']} Role: {operation['x-role']}.\n"
    if "requestBody" in operation:
        yield f"Takes {body_of(operation['requestBody']['content'])}."
    status = next(code for code in operation["responses"] if code.isdigit())
    yield f"Gives {status}: {body_of(operation['responses'][status].get('content', {}))}.\n"
    if operation["parameters"]:
        yield "| parameter | in | type | meaning |\n|---|---|---|---|"
        for parameter in operation["parameters"]:
            default = parameter["schema"].get("default")
            kind = type_of(parameter["schema"]) + (f", default `{default}`" if default is not None else "")
            yield f"| `{parameter['name']}` | {parameter['in']} | {cell(kind)} | {cell(parameter['description'])} |"


def schema_lines(name, schema):
    yield f"\n### {name}\n"
    members, needed = schema.get("properties", {}), set(schema.get("required", []))
    if not members:
        yield type_of(schema)
        return
    yield "| member | type | |\n|---|---|---|"
    for member, rule in members.items():
        yield f"| `{member}` | {cell(type_of(rule))} | {'always' if member in needed else ''} |"
        for inner in rule.get("required", []):
            kind = rule.get("properties", {}).get(inner) or rule.get("additionalProperties") or {"type": "number"}
            yield f"| `{member}.{inner}` | {cell(type_of(kind))} | always |"


def document(openapi):
    yield HEAD
    yield "## Operations"
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            yield from operation_lines(path, method, operation)
    yield "\n## Schemas"
    for name, schema in openapi["components"]["schemas"].items():
        yield from schema_lines(name, schema)


def main():
    from server import Server

    server = Server()
    try:
        openapi = server.get_json("/api/v1/openapi.json")
    finally:
        server.stop()
    print("\n".join(document(openapi)))


main()
