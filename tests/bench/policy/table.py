"""Miss ratios in the simulator: the store's own code and models of other caches, at equal bytes.

    table.py --policy P --work DIR [--traces DIR] [--only WORD] [--write FILE]

Streams are made in the work folder and used again: of the real traces when their folder is given, the profiles with times
to live (their first quarter is not counted), and streams of a known pattern. --write puts the table between the markers of
the file. It tells on stderr how far it is.
"""
import argparse
import collections
import math
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "lib"))
import report  # noqa: E402

MARKS = ("<!-- simulated: begin, written by make policy -->", "<!-- simulated: end -->")
MODELS = (("store", "Vitrine"), ("lru28", "LRU"), ("slabs", "segmented LRU in slabs"), ("fifo", "FIFO with re-insertion"),
          ("s3fifo1", "S3-FIFO"), ("gdsf", "GDSF"), ("optimum", "optimum"))
PROFILE_SECONDS = "600"  # the simulator's clock needs no scaling; profiles.py wants one that is not too short

# name, the script that makes it, its arguments, MiB
Stream = collections.namedtuple("Stream", "name script arguments sizes")
TRACES = (
    Stream("scarab x2", "prepare.py", ("scarab_scarab-recs.trace.xz", "--copies", "2"), (16, 32, 64)),
    Stream("ORM x1", "prepare.py", ("cache2k_orm-busy.trace.xz", "--copies", "1"), (8, 16)),
    Stream("web07 x16", "prepare.py", ("cache2k_web07.trace.xz", "--copies", "16"), (16, 32)),
    Stream("adapt_size x1", "prepare.py", ("adapt_size_request.trace.xz", "--copies", "1"), (32, 64)),
    Stream("lirs_multi1 x64", "prepare.py", ("lirs_multi1.trace.gz", "--copies", "64"), (8, 16)),
)
PROFILES = tuple(
    Stream(f"cluster {cluster}", "profiles.py", (str(cluster), "--events", events, "--seconds", PROFILE_SECONDS), sizes)
    for cluster, events, sizes in ((6, "2000000", (5, 8)), (7, "500000", (12, 28)), (18, "2500000", (2,)),
                                   (19, "1500000", (8, 16)), (26, "700000", (45, 61)), (29, "1000000", (10, 22))))
PATTERNS = tuple(
    Stream(kind, "synthetic.py", (kind, "--objects", objects, "--count", "1000000"), sizes)
    for kind, objects, sizes in (("zipf", "100000", (6, 16)), ("zipf-scan", "100000", (6, 16)),
                                 ("zipf-shift", "100000", (6, 16)), ("loop", "50000", (8, 14))))


def say(text):
    print(text, file=sys.stderr, flush=True)


def made(stream, arguments):
    """The path of the stream, which is made unless it is there. None: its trace is not to be had."""
    path = os.path.join(arguments.work, re.sub(r"\W+", "-", stream.name) + ".stream")
    options = list(stream.arguments)
    if stream.script == "prepare.py":
        options[0] = os.path.join(arguments.traces or "", options[0])
        if not os.path.exists(options[0]):
            return None
    if not os.path.exists(path):
        say(f"{stream.name}: making it")
        subprocess.run([sys.executable, os.path.join(HERE, stream.script), *options, "--out", path + ".part"], check=True,
                       stdout=subprocess.DEVNULL)
        os.rename(path + ".part", path)
    return path


def replayed(stream, path, memory_mib, policy):
    """Miss ratio by model."""
    skipped = ["-f", "0.25"] if stream in PROFILES else []
    done = subprocess.run([policy, *skipped, path, str(memory_mib << 10), *(name for name, _ in MODELS)], capture_output=True,
                          text=True, check=True)
    rows = (line.split("\t") for line in done.stdout.splitlines())
    return {fields[0]: int(fields[2]) / int(fields[1]) for fields in rows}


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def table(title, rows):
    if not rows:
        return []
    lines = ["", title, "", "| stream | MiB | " + " | ".join(label for _, label in MODELS) + " |", "|---" * (2 + len(MODELS)) + "|"]
    for name, memory_mib, ratios in rows:
        lines.append(f"| {name} | {memory_mib} | " + " | ".join(f"{ratios[model]:.4f}" for model, _ in MODELS) + " |")
    means = (geometric_mean([ratios["store"] / ratios[model] for _, _, ratios in rows]) for model, _ in MODELS)
    return lines + ["| Vitrine / this, geometric mean | | " + " | ".join(f"{mean:.3f}" for mean in means) + " |"]


def text_of(tables):
    lines = ["## Simulated", "", "The store's own code and models of other caches (tests/bench/policy) replay the same streams in equal "
             "bytes. Vitrine's are all that `-m` counts, index and free segments included; LRU, FIFO, S3-FIFO and "
             "GreedyDual-Size-Frequency (GDSF) are exact, item by "
             "item, at 28 bytes an item; slabs are memcached's size classes with segmented LRU, to which few MiB are few pages (the table by wire has memcached itself). The optimum knows the future "
             "(approximately: sizes make the exact one intractable). A miss is followed by a set of the same size."]
    for title, rows in tables:
        lines += table(title, rows)
    return "\n".join(lines)


def rows_of(streams, arguments):
    rows = []
    for stream in streams:
        path = made(stream, arguments) if re.search(arguments.only, stream.name) else None
        for memory_mib in stream.sizes if path else ():
            ratios = replayed(stream, path, memory_mib, arguments.policy)
            rows.append((stream.name, memory_mib, ratios))
            say(f"{stream.name}, {memory_mib} MiB: " + ", ".join(f"{name} {ratios[name]:.4f}" for name, _ in MODELS))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--policy", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--traces")
    parser.add_argument("--only", default="", help="a regular expression on names")
    report.add_option(parser)
    arguments = parser.parse_args()
    os.makedirs(arguments.work, exist_ok=True)
    text = text_of([("Real traces:", rows_of(TRACES, arguments)),
                    ("Profiles with times to live:", rows_of(PROFILES, arguments)),
                    ("Known patterns:", rows_of(PATTERNS, arguments))])
    report.publish_section(text, arguments.write, MARKS, "# Miss ratios")
    return 0


if __name__ == "__main__":
    sys.exit(main())
