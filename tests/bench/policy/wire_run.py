"""Miss ratios by wire: memcached with its default options and Vitrine replay the same streams in equal RSS.

    wire_run.py --wire W --vitrine V --traces DIR --work DIR [--only WORD] [--rounds N] [--known] [--write FILE]

For each stream and -m, memcached goes first. Then Vitrine gets the largest -m with which its RSS at the end is not above
memcached's; it is searched by replaying. Traces count from their first request, profiles from the second mean TTL on (a
quarter of the stream). Streams and memcached's results are kept in the work folder and used again; Vitrine's as long as
its binary is the same. --write puts the tables between the markers of the file.
"""
import argparse
import hashlib
import json
import math
import os
import re
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "lib"))
import report  # noqa: E402
import servers  # noqa: E402
import stream  # noqa: E402

MIB = 1 << 20
RSS_SLACK = 0.01     # equal means: not above, and no more than this below
RSS_FAR = 0.9        # further below says nothing
RSS_ABOVE_M = 4      # MiB; where the search for -m starts
SEARCH_STEPS = 4
MARKS = ("<!-- by wire: begin, written by make policy-wire -->", "<!-- by wire: end -->")

# name, files, copies of the key space, sizes of memcached's -m in MiB
TRACES = (
    ("scarab", ("scarab_scarab-recs.trace.xz",), 4, (32, 64, 128)),
    ("ORM", ("cache2k_orm-busy.trace.xz",), 4, (32, 64, 96)),
    ("web07", ("cache2k_web07.trace.xz",), 64, (64, 128, 256)),
    ("adapt_size", ("adapt_size_request.trace.xz",), 1, (16, 32, 64)),
    ("corda", ("corda_trace_vaultservice.gz",), 32, (16, 32)),
    ("lirs_loop", ("lirs_loop.trace.gz",), 32, (8, 16)),
    ("lirs_multi1", ("lirs_multi1.trace.gz",), 256, (32, 64)),
)
# cluster, requests, seconds of the clock, sizes
PROFILES = (
    (6, 8000000, 72, (24, 32, 48)),
    (7, 1000000, 80, (32, 64, 96)),
    (18, 14000000, 96, (12, 16, 24)),
    (19, 6000000, 72, (32, 64, 96)),
    (26, 700000, 80, (32, 64, 96)),
    (29, 2700000, 72, (32, 64, 96)),
)


def say(text):
    print(text, file=sys.stderr, flush=True)


def run_python(script, *arguments):
    done = subprocess.run([sys.executable, os.path.join(HERE, script), *arguments], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise SystemExit(f"{script} {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def first_share(path):
    """The share of a stream's requests that are the first for their key."""
    keys = set()
    with open(path, "rb") as file:
        count = stream.HEADER.unpack(file.read(stream.HEADER.size))[3]
        while block := file.read(stream.RECORD.size << 16):
            keys.update(record[0] for record in stream.RECORD.iter_unpack(block))
    return len(keys) / count


class Case:
    """A stream, and how it is replayed and counted."""

    def __init__(self, name, path, sizes, parts_from=0):
        self.name, self.path, self.sizes, self.parts_from = name, path, sizes, parts_from
        self.speed, self.facts = 0, {}

    def make(self):
        """Writes the stream, and a file of what is known of it, unless they are there."""
        if not os.path.exists(self.path + ".json"):
            say(f"writing the stream of {self.name}")
            facts = self.write()
            with open(self.path + ".json", "w", encoding="ascii") as file:
                json.dump(facts, file)
        with open(self.path + ".json", encoding="ascii") as file:
            self.facts = json.load(file)


class TraceCase(Case):
    def __init__(self, work, folder, name, files, copies, sizes):
        super().__init__(f"{name} x{copies}", os.path.join(work, f"{name}-{copies}.stream"), sizes)
        self.files, self.copies = [os.path.join(folder, file) for file in files], copies

    def write(self):
        run_python("prepare.py", *self.files, "--copies", str(self.copies), "--out", self.path)
        return {"unlimited_miss_ratio": first_share(self.path)}


class ProfileCase(Case):
    def __init__(self, work, cluster, events, seconds, sizes):
        name = f"cluster {cluster}"
        super().__init__(name, os.path.join(work, f"cluster-{cluster}-{events}-{seconds}.stream"), sizes, parts_from=5)
        self.cluster, self.events, self.seconds = cluster, events, seconds

    def write(self):
        return json.loads(run_python("profiles.py", str(self.cluster), "--events", str(self.events), "--seconds",
                                     str(self.seconds), "--out", self.path))

    def make(self):
        super().make()
        self.speed = self.facts["speed"]


class Results:
    """What was measured, kept in a file."""

    def __init__(self, work, binary):
        self.path = os.path.join(work, "results.json")
        with open(binary, "rb") as file:
            self.ours = "vitrine " + hashlib.sha256(file.read()).hexdigest()[:12]
        self.known = {}
        if os.path.exists(self.path):
            with open(self.path, encoding="ascii") as file:
                self.known = json.load(file)

    def get(self, server, case, memory_mib):
        return self.known.get(f"{server}|{os.path.basename(case.path)}|{memory_mib}", [])

    def sizes(self, server, case, rounds):
        """The -m of all that was replayed so often."""
        start = f"{server}|{os.path.basename(case.path)}|"
        return [int(key[len(start):]) for key, found in self.known.items() if key.startswith(start) and len(found) >= rounds]

    def add(self, server, case, memory_mib, result):
        self.known.setdefault(f"{server}|{os.path.basename(case.path)}|{memory_mib}", []).append(result)
        report.replace(self.path, json.dumps(self.known, indent=1))


class Unknown(Exception):
    """What --known asks for was not measured."""


class Replays:
    def __init__(self, arguments):
        self.arguments, self.results = arguments, Results(arguments.work, arguments.vitrine)

    def _replay(self, server, case):
        with server:
            done = subprocess.run([self.arguments.wire, "--port", str(server.port), "--speed", str(case.speed), case.path],
                                  capture_output=True, text=True, check=False)
            if not done.stdout:
                raise SystemExit(f"{server.name}, {case.name}: {done.stderr.strip()}")
            result = json.loads(done.stdout)
            result["rss_bytes"], result["hwm_bytes"] = server.memory(), server.memory("VmHWM")
        counted = result["parts"][case.parts_from:]
        result["ratio"] = sum(misses for _, misses in counted) / sum(gets for gets, _ in counted)
        if result["wrong"]:
            say(f"WRONG BYTES from {server.name}, {case.name}: {done.stderr.strip()}")
        return result

    def measured(self, name, case, memory_mib, rounds):
        """`rounds` replays, those of earlier runs included: the median by miss ratio."""
        ours = name == "vitrine"
        key = self.results.ours if ours else name
        while len(self.results.get(key, case, memory_mib)) < rounds:
            if self.arguments.known:
                raise Unknown
            options = ("-m", str(memory_mib))
            server = servers.vitrine(self.arguments.vitrine, *options) if ours else servers.memcached(*options)
            result = self._replay(server, case)
            self.results.add(key, case, memory_mib, result)
            say(f"{case.name}, {name} -m {memory_mib}: {result['ratio']:.4f} RSS {result['rss_bytes'] / MIB:.1f} MiB "
                f"refused {result['refused']} late {result['late']} lag {result['lag_ms_max']} ms, {result['seconds']:.0f} s")
        return sorted(self.results.get(key, case, memory_mib), key=lambda result: result["ratio"])[(rounds - 1) // 2]

    def ours_in(self, case, rss, rounds):
        """Vitrine with the largest -m whose RSS is not above: (memory_mib, result)."""
        known = {memory_mib: self.measured("vitrine", case, memory_mib, rounds)
                 for memory_mib in self.results.sizes(self.results.ours, case, rounds)}
        if self.arguments.known:
            return self.best_of(case, known, rss)
        memory_mib, before = max(1, math.floor(rss / MIB - RSS_ABOVE_M)), len(known)
        while memory_mib not in known and len(known) < SEARCH_STEPS + before:
            known[memory_mib] = result = self.measured("vitrine", case, memory_mib, rounds)
            if rss * (1 - RSS_SLACK) <= result["rss_bytes"] <= rss:
                break
            memory_mib = max(1, memory_mib + math.floor((rss - result["rss_bytes"]) / MIB))
        return self.best_of(case, known, rss)

    @staticmethod
    def best_of(case, known, rss):
        fitting = [memory_mib for memory_mib, result in known.items() if rss * RSS_FAR <= result["rss_bytes"] <= rss]
        if not fitting:
            say(f"{case.name}: no -m tried comes near memcached's RSS from below")
            raise Unknown
        return max(fitting), known[max(fitting)]

    def row(self, case, memory_mib):
        rounds = self.arguments.rounds
        theirs = self.measured("memcached", case, memory_mib, rounds)
        ours_mib, ours = self.ours_in(case, theirs["rss_bytes"], rounds)
        return {"name": case.name, "m": memory_mib, "ours_m": ours_mib, "theirs": theirs, "ours": ours, "facts": case.facts,
                "ratio": ours["ratio"] / theirs["ratio"]}


def excess(row, server):
    """Misses beyond those of unlimited memory, as a share of all gets."""
    return row[server]["ratio"] - row["facts"]["unlimited_miss_ratio"]


def is_contest(row):
    """Whether memcached misses more than unlimited memory does: where it does not, nobody can miss less."""
    return excess(row, "theirs") > 0.005 * row["theirs"]["ratio"]


def avoidable(row):
    """Vitrine's misses beyond those of unlimited memory, as a share of memcached's."""
    return f"{excess(row, 'ours') / excess(row, 'theirs'):.2f}" if is_contest(row) else "-"


def table(rows):
    lines = ["| stream | memcached `-m` | Vitrine `-m` | unlimited memory | miss ratio memcached | Vitrine | Vitrine / memcached | of avoidable misses | RSS memcached, MiB | RSS Vitrine, MiB |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        lines.append(f"| {row['name']} | {row['m']} | {row['ours_m']} | {row['facts']['unlimited_miss_ratio']:.4f} | "
                     f"{row['theirs']['ratio']:.4f} | {row['ours']['ratio']:.4f} | {row['ratio']:.3f} | {avoidable(row)} | {row['theirs']['rss_bytes'] / MIB:.1f} | {row['ours']['rss_bytes'] / MIB:.1f} |")
    return lines + ["", summary(rows)]


def summary(rows):
    contests = [row for row in rows if is_contest(row)]
    if not contests:
        return "Nothing to compare: memcached misses only what unlimited memory misses."
    worst = max(contests, key=lambda row: row["ratio"])
    mean = statistics.geometric_mean(row["ratio"] for row in contests)
    left_out = sorted({row["name"] for row in rows if not is_contest(row)})
    return (f"Geometric mean {mean:.3f}; worst {worst['ratio']:.3f} ({worst['name']}, {worst['m']} MiB)." +
            (f" Left out, since memcached misses no more than unlimited memory: {', '.join(left_out)}." if left_out else ""))


def profile_facts(rows):
    """Bytes alive at a time and the speed, by profile."""
    facts = {row["name"]: row["facts"] for row in rows}
    return "; ".join(f"{name} {fact['live_mib']:.0f} MiB, {fact['speed']:.0f} s in one" for name, fact in facts.items())


def text_of(trace_rows, profile_rows):
    lines = ["## By wire", "", "memcached " + memcached_version() + " with its default options and Vitrine, both as a user would start them, "
             "replay the same streams (tests/bench/policy/wire.c) from empty. Vitrine's `-m` is searched such that its "
             "RSS at the end comes close to memcached's and not above it. \"Unlimited memory\" is the share of misses that no cache avoids: first "
             "requests for a key, and expiry; \"of avoidable misses\" compares what is left without them."]
    if trace_rows:
        lines += ["", "Real traces, value sizes of Meta's kvcache_reg by hash of the key (adapt_size: its own), all requests counted:",
                  "", *table(trace_rows)]
    if profile_rows:
        lines += ["", "Profiles with short times to live (profiles.py says how each published figure is used), time scaled, all but the "
                  "first quarter counted:", "", *table(profile_rows), "",
                  "Keys and values alive at a time in unlimited memory, and the stream's seconds in one of the clock: " +
                  profile_facts(profile_rows) + "."]
    return "\n".join(lines)


def memcached_version():
    return subprocess.run([servers.MEMCACHED, "-V"], capture_output=True, text=True, check=True).stdout.split()[-1]


def cases_of(arguments):
    traces = [TraceCase(arguments.work, arguments.traces, *trace) for trace in TRACES]
    profiles = [ProfileCase(arguments.work, *profile) for profile in PROFILES]
    chosen = [case for case in traces + profiles if re.search(arguments.only, case.name)]
    return [case for case in chosen if case in profiles or all(map(os.path.exists, case.files))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("wire", "vitrine", "traces", "work"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--only", default="", help="a regular expression on names")
    parser.add_argument("--sizes", default="", help="of memcached's -m, in place of the listed ones")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--known", action="store_true", help="tell what was measured before, replay nothing")
    report.add_option(parser)
    arguments = parser.parse_args()
    os.makedirs(arguments.work, exist_ok=True)
    replays, rows = Replays(arguments), {TraceCase: [], ProfileCase: []}
    for case in cases_of(arguments):
        case.make()
        for memory_mib in map(int, arguments.sizes.split(",")) if arguments.sizes else case.sizes:
            try:
                rows[type(case)].append(replays.row(case, memory_mib))
            except Unknown:
                say(f"{case.name}, -m {memory_mib}: not measured with this binary")
    text = text_of(rows[TraceCase], rows[ProfileCase])
    report.publish_section(text, arguments.write, MARKS, "# Miss ratios")
    return 0


if __name__ == "__main__":
    sys.exit(main())
