"""Runs the load generator against Vitrine, memcached and the floor side by side, and prints what came out.

speed: alternating rounds of four cases, server on one core with one worker, load on another; medians. The memcached is
the first in PATH; the report has a section for each version.
memory: RSS after -m 64 was filled three times over.
"""
import argparse
import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import report  # noqa: E402
import servers  # noqa: E402

SERVER_CORE, LOAD_CORE = 0, 1
KEYS, KEY_SIZE, VALUE_SIZE = 1_000_000, 11, 100
MIB = 1 << 20
# What Vitrine promises to need beyond -m, connections' buffers aside.
MEMORY_ALLOWANCE = 24 * MIB

# What others may use of the CPUs before the rates say nothing.
QUIET_SHARE = 0.05

# name, arguments of the load generator
CASES = [
    ("1 get a request, 50 connections", ["--connections", "50"]),
    ("16 pipelined gets, 20 connections", ["--connections", "20", "--depth", "16"]),
    ("50-key multigets, 20 connections", ["--connections", "20", "--multiget", "50"]),
    ("16 pipelined sets, 20 connections", ["--connections", "20", "--depth", "16", "--set-ratio", "1"]),
]


def progress(text):
    print(text, file=sys.stderr, flush=True)


def load(arguments, server, extra, may_refuse=False):
    """One run of the load generator; its JSON. A server that evicts may have no memory for a set; others may not."""
    command = ["taskset", "-c", str(LOAD_CORE), arguments.load, "--json", "--port", str(server.port),
               "--server-pid", str(server.pid), "--key-size", str(KEY_SIZE), "--seed", str(os.getpid()), *extra]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"load against {server.name} failed: {done.stderr.strip()}")
    result = json.loads(done.stdout)
    if result["refused"] and not may_refuse:
        raise SystemExit(f"{server.name} had no memory for {result['refused']} sets")
    return result


class Bystanders:
    """How much of this machine's CPUs others used while we measured."""

    def __init__(self, running):
        self.running, self.start = running, time.monotonic()
        self.before = self._others_s()

    def _others_s(self):
        """CPU seconds since the machine's start that neither the servers nor the load generator used."""
        with open("/proc/stat", encoding="ascii") as stat:
            user, nice, system, _, _, irq, softirq, steal = map(int, stat.readline().split()[1:9])
        busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
        loads = resource.getrusage(resource.RUSAGE_CHILDREN)
        return busy - loads.ru_utime - loads.ru_stime - sum(server.cpu_seconds() for server in self.running)

    def share(self):
        """0 .. 1 of all CPUs, since this was made."""
        return max(0, self._others_s() - self.before) / ((time.monotonic() - self.start) * os.cpu_count())


def prefill(arguments, server, count=KEYS):
    """Stores every key once; returns the server's RSS then."""
    progress(f"storing {count} items in {server.name}")
    result = load(arguments, server, ["--keys", str(count), "--value-size", str(VALUE_SIZE), "--depth", "64",
                                      "--connections", "4", "--set-ratio", "1", "--requests", str(count),
                                      "--distribution", "sequential"])
    return result["server"]["rss_bytes"]


def measure(arguments, running, case):
    """All rounds of one case: {server name: [result, ...]}."""
    name, extra = case
    results = {server.name: [] for server in running}
    for number in range(arguments.rounds):
        for server in running:
            check = ["--check", "length"] if server.name == "floor" else ["--check", "full"]
            result = load(arguments, server, ["--keys", str(KEYS), "--value-size", str(VALUE_SIZE), "--duration",
                                              str(arguments.seconds), *check, *extra])
            if not result["operations"]:
                raise SystemExit(f"no reply of {server.name} within {arguments.seconds:g} s: the machine is too busy")
            if server.name != "floor" and result["misses"]:
                raise SystemExit(f"{server.name} lost {result['misses']} items that fit in its memory")
            results[server.name].append(result)
        rates = ", ".join(f"{n} {r[-1]['operations_per_second'] / 1000:.0f} k/s" for n, r in results.items())
        progress(f"{name}: round {number + 1} of {arguments.rounds}: {rates}")
    return results


def median(results, pick):
    return statistics.median(pick(result) for result in results)


def rate(results):
    return median(results, lambda r: r["operations_per_second"])


def cpu_ns(result):
    """CPU time of the server for an operation."""
    return result["server"]["user_ns"] + result["server"]["system_ns"]


def speed_rows(measured):
    """The rows of both tables."""
    rates, costs = [], []
    for name, results in measured:
        ours, theirs, limit = (rate(results[n]) for n in ("vitrine", "memcached", "floor"))
        rates.append(f"| {name} | {ours / 1000:.0f} k/s | {theirs / 1000:.0f} k/s | {limit / 1000:.0f} k/s | "
                     f"**{ours / theirs:.2f}** | {limit / theirs:.2f} |")
        cells = []
        for server in ("vitrine", "memcached", "floor"):
            user = median(results[server], lambda r: r["server"]["user_ns"])
            system = median(results[server], lambda r: r["server"]["system_ns"])
            p99 = median(results[server], lambda r: r["latency_us"]["p99"])
            busy = median(results[server], lambda r: r["load_busy"])
            cells.append(f"{user:.0f} + {system:.0f} ns, {p99:.0f} us, {busy * 100:.0f} %")
        costs.append(f"| {name} | " + " | ".join(cells) + " |")
    return rates, costs


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        for line in info:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def speed_report(arguments, measured, rss, versions, others):
    rates, costs = speed_rows(measured)
    return "\n".join([
        f"## Beside {versions[1]}",
        "",
        f"`make bench` on {datetime.date.today().isoformat()}: {processor()}, {os.cpu_count()} CPUs, "
        f"Linux {platform.release().split('-')[0]}, loopback TCP.",
        f"Server on one core with one worker (`-t 1 -m 1024`), load generator on another; {KEYS:,} items of {KEY_SIZE}-byte "
        f"keys and {VALUE_SIZE}-byte values, uniform access, every reply checked byte for byte.",
        f"Medians of {arguments.rounds} alternating rounds of {arguments.seconds:g} s. {'; '.join(versions)}.",
        f"Other processes used {others * 100:.1f} % of the CPUs meanwhile" +
        ("." if others < QUIET_SHARE else ": **too much for the rates to be trusted**; the CPU an operation costs is less affected."),
        "The floor is a server with no cache at all, which answers from constant buffers: what one core can reach here.",
        "",
        "Operations a second (an operation is one key read or stored):",
        "",
        "| case | vitrine | memcached | floor | vitrine / memcached | floor / memcached |",
        "|---|---|---|---|---|---|",
        *rates,
        "",
        "Server CPU an operation (user + system), p99 latency of a request, and how busy the load generator was",
        "(near 100 % it, not the server, set the pace):",
        "",
        "| case | vitrine | memcached | floor |",
        "|---|---|---|---|",
        *costs,
        "",
        f"RSS with the {KEYS:,} items: " +
        ", ".join(f"{name} {size / MIB:.0f} MiB" for name, size in rss.items()) +
        f" ({KEYS * (KEY_SIZE + VALUE_SIZE) / MIB:.0f} MiB of it keys and values).",
        ""])


def version_of(command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip().split("\n")[0]


def run_speed(arguments):
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit("bench: two CPUs are needed, one for the server and one for the load")
    options = ["-t", "1", "-m", "1024", "-c", "1024"]
    with servers.vitrine(arguments.vitrine, *options, core=SERVER_CORE) as ours, \
            servers.memcached(*options, core=SERVER_CORE) as theirs, \
            servers.floor(arguments.floor, KEY_SIZE, VALUE_SIZE, core=SERVER_CORE) as limit:
        rss = {server.name: prefill(arguments, server) for server in (ours, theirs)}
        running = [ours, theirs, limit]
        bystanders = Bystanders(running)
        measured = [(case[0], measure(arguments, running, case)) for case in CASES]
        others = bystanders.share()
    versions = [version_of([binary, "-V"]) for binary in (arguments.vitrine, servers.MEMCACHED)]
    marks = [f"<!-- {versions[1]}: {word} -->" for word in ("begin, written by make bench", "end")]
    report.publish_section(speed_report(arguments, measured, rss, versions, others), arguments.write, marks, "# Speed")
    return 0


def fill(arguments, server, value_size):
    """Stores three times -m 64 and returns (RSS now, the most it was)."""
    count = 3 * 64 * MIB // (KEY_SIZE + value_size)
    load(arguments, server, ["--keys", str(count), "--value-size", str(value_size), "--connections", "20", "--depth",
                             "4", "--set-ratio", "1", "--requests", str(count), "--distribution", "sequential"], may_refuse=True)
    return server.memory("VmRSS"), server.memory("VmHWM")


def run_memory(arguments):
    bound = 64 * MIB + MEMORY_ALLOWANCE
    over = 0
    print(f"-m 64 filled three times over; Vitrine promises at most {bound / MIB:.0f} MiB and buffers")
    for value_size in (100, 10 * 1024):
        for start in (lambda *o: servers.vitrine(arguments.vitrine, *o), servers.memcached):
            with start("-m", "64", "-t", "1") as server:
                now, most = fill(arguments, server, value_size)
            held = most <= bound
            over += server.name == "vitrine" and not held
            print(f"{value_size:6} byte values  {server.name:10} RSS {now / MIB:6.1f} MiB, at most {most / MIB:6.1f} MiB"
                  f"{'' if held else '  OVER'}", flush=True)
    return 1 if over else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["speed", "memory"])
    parser.add_argument("--load", required=True)
    parser.add_argument("--floor", required=True)
    parser.add_argument("--vitrine", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    report.add_option(parser)
    arguments = parser.parse_args()
    return run_speed(arguments) if arguments.what == "speed" else run_memory(arguments)


if __name__ == "__main__":
    sys.exit(main())
