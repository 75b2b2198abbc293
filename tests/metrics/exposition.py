"""Checks of an exposition file. Use: exposition.py parity|samples|dashboard|openmetrics FILE [SECOND FILE]
Prints what is wrong, a line each; exits 1 if anything is."""

import json
import re
import sys

SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
HISTOGRAM_ENDS = ("_bucket", "_sum", "_count")


def read(path):
    """Returns {family: (type, help)} and [(name, {label: value}, number)] of text format 0.0.4."""
    types, helps, samples = {}, {}, []
    for line in open(path, encoding="utf-8").read().split("\n"):
        if line.startswith("# HELP "):
            name, text = line[7:].split(" ", 1)
            helps[name] = text
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            types[name] = kind
        elif line:
            found = SAMPLE.match(line)
            if not found:
                raise SystemExit(f"not a sample: {line}")
            samples.append((found[1], dict(LABEL.findall(found[2] or "")), float(found[3])))
    return {name: (kind, helps.get(name)) for name, kind in types.items()}, samples


def check_parity(exposition, table):
    """Every family of the table is there with its type, HELP and label names."""
    families, samples = read(exposition)
    for line in open(table, encoding="utf-8"):
        if line.startswith("#"):
            continue
        name, kind, labels, text = line.rstrip("\n").split("\t")
        if families.get(name) != (kind, text):
            yield f"{name}: {families.get(name)} instead of {(kind, text)}"
        wanted = set(labels.split(",")) - {""}
        own = [set(sample[1]) for sample in samples if sample[0] == name]
        if not own or any(found != wanted for found in own):
            yield f"{name}: labels {own} instead of {wanted}"
    pairs = {(s[1]["command"], s[1]["status"]) for s in samples if s[0] == "memcached_commands_total"}
    keyed = {(c, s) for c in ("get", "delete", "incr", "decr", "cas", "touch") for s in ("hit", "miss")}
    if pairs != keyed | {("cas", "badval"), ("flush", "hit"), ("set", "hit")}:
        yield f"memcached_commands_total: pairs {sorted(pairs)}"


def check_samples(exposition):
    families, samples = read(exposition)
    seen = set()
    for name, labels, _ in samples:
        key = (name, tuple(sorted(labels.items())))
        if key in seen:
            yield f"told twice: {key}"
        seen.add(key)
        ends = [name[: -len(end)] for end in HISTOGRAM_ENDS if name.endswith(end)]
        if name not in families and not any(families.get(family, ("",))[0] == "histogram" for family in ends):
            yield f"without a type: {name}"


def check_dashboard(exposition, dashboard):
    families, _ = read(exposition)
    for panel in json.load(open(dashboard, encoding="utf-8"))["panels"]:
        for target in panel["targets"]:
            for name in re.findall(r"\b(?:memcached|vitrine|process)_\w+", target["expr"]):
                if name not in families and re.sub("_bucket$", "", name) not in families:
                    yield f"{panel['title']}: no family {name}"


def check_openmetrics(exposition):
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    text = open(exposition, encoding="utf-8").read()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    if len(families) < 50:
        yield f"only {len(families)} families"
    unknown = sorted(name for name, family in families.items() if family.type == "unknown")
    if unknown != ["memcached_slab_items_evicted_time_seconds", "memcached_slab_mem_requested_bytes",
                   "memcached_uptime_seconds"]:
        yield f"of unknown type: {unknown}"
    version = families["memcached_version"].samples[0].labels["version"]
    if version != '1.6.45 "a\\b\nc':
        yield f"a label came back as {version!r}"


def main():
    checks = {
        "parity": check_parity,
        "samples": check_samples,
        "dashboard": check_dashboard,
        "openmetrics": check_openmetrics,
    }
    wrong = list(checks[sys.argv[1]](*sys.argv[2:]))
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
