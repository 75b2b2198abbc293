"""As much of JSON Schema as the OpenAPI document uses; anything else in a schema is an error of its own."""

KNOWN = {"type", "required", "properties", "items", "additionalProperties", "enum", "minimum", "maximum", "$ref",
         "allOf", "default", "format", "maxProperties", "minProperties", "maxLength"}
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def has_type(value, name):
    if name in ("integer", "number"):
        kinds = int if name == "integer" else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def check_scalar(value, schema, at):
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        assert any(has_type(value, name) for name in names), f"{at}: {value!r} is no {names}"
    assert "enum" not in schema or value in schema["enum"], f"{at}: {value!r}"
    if value is not None and not isinstance(value, (str, dict, list)):
        assert value >= schema.get("minimum", value) and value <= schema.get("maximum", value), f"{at}: {value}"


def check_object(value, schema, document, at):
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name in schema.get("required", []):
        assert name in value, f"{at}: {name} is missing"
    for name, member in value.items():
        rule = properties.get(name, others)
        assert rule is not False, f"{at}: {name} is not allowed"
        if rule is not True:
            check(member, rule, document, f"{at}.{name}")


def check(value, schema, document, at="$"):
    assert set(schema) <= KNOWN, f"{at}: unknown {set(schema) - KNOWN}"
    if "$ref" in schema:
        node = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            node = node[step]
        check(value, node, document, at)
    for part in schema.get("allOf", []):
        check(value, part, document, at)
    check_scalar(value, schema, at)
    if isinstance(value, dict):
        check_object(value, schema, document, at)
    if isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value):
            check(item, schema["items"], document, f"{at}[{i}]")
