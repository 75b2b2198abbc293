"""What a key of a multiget, or a pipelined get, costs where there are very many items, beside a server with a million.

Both servers run on one core, loaded in turn from another. The goal is 1.3 times the CPU time at most.
"""
import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import run as bench  # noqa: E402
from run import servers  # noqa: E402

GOAL = 1.3
# Of keys of 11 and values of 100 bytes: 124 with their header, 13 of the index, and room beside them.
MEMORY_AN_ITEM = 168
SETTLE_S = 120


def settle(server):
    """Waits until the index has as many buckets as it wants."""
    end = time.monotonic() + SETTLE_S
    while server.stat("hash_is_expanding"):
        if time.monotonic() > end:
            raise SystemExit(f"the index still grows after {SETTLE_S} s")
        time.sleep(0.2)


def measure(arguments, running, extra):
    """{count of items: (median CPU ns an operation, median user ns, median operations a second)}"""
    results = {count: [] for count in running}
    for number in range(arguments.rounds):
        for count, server in sorted(running.items(), reverse=number % 2 == 1):
            result = bench.load(arguments, server, ["--keys", str(count), "--value-size", str(bench.VALUE_SIZE), "--duration",
                                                    str(arguments.seconds), "--check", "full", *extra])
            if result["misses"]:
                raise SystemExit(f"{result['misses']} of {count:,} items were lost though they fit")
            results[count].append(result)
    return {count: (bench.median(r, bench.cpu_ns),
                    bench.median(r, lambda x: x["server"]["user_ns"]), bench.rate(r)) for count, r in results.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--load", required=True)
    parser.add_argument("--vitrine", required=True)
    parser.add_argument("--count", type=int, default=20_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2)
    arguments = parser.parse_args()
    few, many = bench.KEYS, arguments.count

    def start(count):
        memory = str(64 + count * MEMORY_AN_ITEM // bench.MIB)
        return servers.vitrine(arguments.vitrine, "-t", "1", "-c", "1024", "-m", memory, core=bench.SERVER_CORE)

    with start(few) as small, start(many) as large:
        running = {few: small, many: large}
        for count, server in running.items():
            rss = bench.prefill(arguments, server, count)
            settle(server)
            bench.progress(f"RSS {rss / bench.MIB:.0f} MiB")
        print(f"| case | {few:,} items | {many:,} items | ratio (goal {GOAL} at most) | throughput |\n|---|---|---|---|---|")
        for name, extra in bench.CASES[:3]:
            figures = measure(arguments, running, extra)
            (ns_few, user_few, rate_few), (ns_many, user_many, rate_many) = figures[few], figures[many]
            print(f"| {name} | {ns_few:.0f} ns, {user_few:.0f} of it user | {ns_many:.0f} ns, {user_many:.0f} of it user | "
                  f"**{ns_many / ns_few:.2f}** | {rate_many / rate_few:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
