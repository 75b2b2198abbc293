"""What observation costs: the server with every counter, histogram and sampler beside one built without them.

By socket both run on one core, one at a time loaded from another, in the order on, off, off, on; every restart is a new
layout of memory. The ratio of a case is the median over all pairs of neighbouring runs, so that a drift of the machine
falls on both. Since the kernel's part in that is large and unsteady, the same turns are also run in-process, where a few
ns show; over the CPU time that an operation takes by socket they tell the share that observation has in it.
"""
import argparse
import datetime
import os
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import run as bench  # noqa: E402
from run import report, servers  # noqa: E402

GOAL = 0.97
MARKS = ("<!-- observation: begin, written by make bench-observation -->", "<!-- observation: end -->")
KEYS, VALUE_SIZE = 1_000_000, 100
OPTIONS = ["-t", "1", "-m", "1024", "-c", "1024"]


def one_run(arguments, server, case):
    extra = ["--keys", str(KEYS), "--value-size", str(VALUE_SIZE), "--duration", str(arguments.seconds), "--warmup", "0.1",
             "--check", "sample"]
    return bench.load(arguments, server, extra + case[1])


class Pairs:
    """One figure of neighbouring runs, on and off."""

    def __init__(self):
        self.on, self.off = [], []

    def add(self, on, off, off_again, on_again):
        self.on += [on, on_again]
        self.off += [off, off_again]

    def ratios(self):
        return [on / off for on, off in zip(self.on, self.off)]


class Figures:
    """What was measured of one case, in the order of measuring."""

    def __init__(self):
        self.rate, self.cpu_ns = Pairs(), Pairs()

    def measure(self, arguments, on, off, case):
        """Two pairs of neighbouring runs."""
        results = [one_run(arguments, server, case) for server in (on, off, off, on)]
        self.rate.add(*(result["operations_per_second"] for result in results))
        self.cpu_ns.add(*(bench.cpu_ns(result) for result in results))


def by_socket(arguments, measured):
    """Both servers once from the start, all cases, several times around."""
    with servers.vitrine(os.path.join(arguments.on, "vitrine"), *OPTIONS, core=bench.SERVER_CORE) as on, \
            servers.vitrine(os.path.join(arguments.off, "vitrine"), *OPTIONS, core=bench.SERVER_CORE) as off:
        for server in (on, off):
            bench.prefill(arguments, server)
        for case in bench.CASES * arguments.turns:
            measured[case[0]].measure(arguments, on, off, case)


def in_process(folder):
    """{case: ns an operation} of one run of the turns."""
    command = ["taskset", "-c", str(bench.SERVER_CORE), os.path.join(folder, "bench", "observe_turn")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {name: float(ns) for name, ns in (line.split("\t") for line in done.stdout.splitlines())}


def turns(arguments):
    """{case: [(ns on, ns off), ...]}, alternating."""
    together = {}
    for _ in range(arguments.restarts):
        on, off = in_process(arguments.on), in_process(arguments.off)
        for name, ns in on.items():
            together.setdefault(name, []).append((ns, off[name]))
    return together


def row(name, figures, inside):
    ratios = figures.rate.ratios()
    quarters = statistics.quantiles(ratios, n=4)
    on, off = (statistics.median(pair[i] for pair in inside) for i in range(2))
    cost = statistics.median(a - b for a, b in inside)
    cpu = statistics.median(figures.cpu_ns.off)
    holds = statistics.median(ratios) >= GOAL and cpu / (cpu + cost) >= GOAL
    return (f"| {name} | {statistics.median(figures.rate.on) / 1000:.0f} k/s | "
            f"{statistics.median(figures.rate.off) / 1000:.0f} k/s | **{statistics.median(ratios):.3f}** | "
            f"{quarters[0]:.3f} .. {quarters[2]:.3f} | {cpu:.0f} ns | {1 / statistics.median(figures.cpu_ns.ratios()):.3f} | "
            f"{on:.1f} ns | {off:.1f} ns | {cost / (cpu + cost) * 100:.1f} %{'' if holds else ' **over the goal**'} |")


def text_of(arguments, measured, inside):
    pairs = 2 * arguments.restarts * arguments.turns
    return "\n".join([
        "## What observation costs", "",
        f"`make bench-observation` on {datetime.date.today().isoformat()}: the server with every counter, histogram, ghost and "
        f"sampler beside one that was built without them; {pairs} pairs of neighbouring runs a case, {arguments.restarts} "
        "restarts of both. In-process the same turns run without sockets; over the CPU time by socket they tell observation's share. "
        f"The goal is {GOAL}.", "",
        "| case | by socket: on | off | on / off, median | middle half of the pairs | CPU off | CPU off / on, median "
        "| in-process: on | off | share of observation |", "|---|---|---|---|---|---|---|---|---|---|",
        *[row(name, figures, inside[name]) for name, figures in measured.items()]])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--load", required=True)
    parser.add_argument("--on", required=True, help="folder of the build as it is")
    parser.add_argument("--off", required=True, help="folder of the build with METRICS_ON=0")
    parser.add_argument("--restarts", type=int, default=7)
    parser.add_argument("--turns", type=int, default=6, help="how often a case is measured between two restarts")
    parser.add_argument("--seconds", type=float, default=0.25, help="of a run; short, so that neighbours are alike")
    report.add_option(parser)
    arguments = parser.parse_args()
    inside = turns(arguments)
    measured = {case[0]: Figures() for case in bench.CASES}
    for number in range(arguments.restarts):
        by_socket(arguments, measured)
        bench.progress(f"restart {number + 1} of {arguments.restarts}")
    report.publish_section(text_of(arguments, measured, inside), arguments.write, MARKS, "# Speed")


if __name__ == "__main__":
    main()
