"""What gets and sets of larger values cost, beside memcached.

Both servers run on one core with one worker, loaded in turn from another. ALIVE_SIZE of values lie in `-m 256`, and sets go
through that memory several times before anything is measured, so that no page is touched for the first time.
"""
import argparse
import contextlib
import datetime
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import run as bench  # noqa: E402
from run import report, servers  # noqa: E402

VALUE_SIZES = (1000, 4000, 10_000, 20_000, 50_000, 100_000, 400_000, 900_000)
MEMORY_MIB, ALIVE_SIZE, WARM_TURNS = 256, 40_000_000, 3
OPTIONS = ["-t", "1", "-m", str(MEMORY_MIB), "-c", "1024"]
KINDS = (("gets", ["--set-ratio", "0"]), ("sets", ["--set-ratio", "1"]))


def run_load(arguments, server, value_size, extra):
    keys = ["--keys", str(ALIVE_SIZE // value_size), "--value-size", str(value_size), "--connections", "20"]
    return bench.load(arguments, server, keys + extra)


def warm(arguments, server, value_size):
    bench.progress(f"storing values of {value_size} bytes in {server.name}")
    count = WARM_TURNS * MEMORY_MIB * bench.MIB // value_size
    run_load(arguments, server, value_size, ["--prefill", "--set-ratio", "1", "--requests", str(count)])


def measure(arguments, running, value_size):
    """{(server name, kind): [result, ...]}"""
    results = {}
    for server in running:
        warm(arguments, server, value_size)
    for number in range(arguments.rounds):
        for server in running if number % 2 == 0 else running[::-1]:
            for kind, extra in KINDS:
                result = run_load(arguments, server, value_size, ["--duration", str(arguments.seconds), "--check", "sample", *extra])
                if result["misses"]:
                    raise SystemExit(f"{server.name} lost {result['misses']} values that fit in its memory")
                results.setdefault((server.name, kind), []).append(result)
    return results


def cells(results, kind):
    ours, theirs = results[("vitrine", kind)], results[("memcached", kind)]
    cpu_us, their_cpu_us = (bench.median(runs, bench.cpu_ns) / 1000 for runs in (ours, theirs))
    return (f"{bench.rate(ours) / 1000:.1f} k/s | {bench.rate(theirs) / 1000:.1f} k/s | "
            f"**{bench.rate(ours) / bench.rate(theirs):.2f}** | {cpu_us:.1f} us | {their_cpu_us:.1f} us")


def text_of(arguments, measured):
    head = " | ".join(f"{kind}: vitrine | memcached | ratio | CPU | CPU of memcached" for kind, _ in KINDS)
    return "\n".join([
        "# Larger values",
        "",
        f"`make bench-values` on {datetime.date.today().isoformat()}: {bench.processor()}. Server on one core with one worker "
        f"(`{' '.join(OPTIONS)}`), load generator on another, 20 connections, {ALIVE_SIZE // 1_000_000} MB of values, uniform access; "
        f"sets went through the memory {WARM_TURNS} times before. Medians of {arguments.rounds} alternating rounds of "
        f"{arguments.seconds:g} s.",
        "",
        f"| bytes a value | {head} |",
        "|---|" + "---|---|---|---|---|" * len(KINDS),
        *(f"| {size:,} | " + " | ".join(cells(results, kind) for kind, _ in KINDS) + " |" for size, results in measured.items()),
        ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--load", required=True)
    parser.add_argument("--vitrine", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1)
    report.add_option(parser)
    arguments = parser.parse_args()
    measured = {}
    for value_size in VALUE_SIZES:
        with contextlib.ExitStack() as stack:
            running = [stack.enter_context(server) for server in (
                servers.vitrine(arguments.vitrine, *OPTIONS, core=bench.SERVER_CORE),
                servers.memcached(*OPTIONS, core=bench.SERVER_CORE))]
            measured[value_size] = measure(arguments, running, value_size)
    report.publish(text_of(arguments, measured), arguments.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
