"""Runs every real client against Vitrine and against memcached, side by side.

A check fails when it fails on Vitrine. The closing line is 'N passed, N failed'.
"""
import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib")]

try:
    import servers
    import with_memcache
    import with_pylibmc
    import with_pymemcache
    import with_tools
except ImportError as error:
    raise SystemExit(f"clients-check: {error}: run tools/install-deps.sh --tests") from error

import harness

SUITES = [module.suite for module in (with_pymemcache, with_memcache, with_pylibmc, with_tools)]


def run_suites(server):
    """{suite name: [(check, problem), ...]} of one server; each starts from the checks before it."""
    target = harness.Target("127.0.0.1", server.port)
    return {suite.name: suite.run(target) for suite in SUITES}


def count(outcomes, kind):
    """How many checks came out so: type(None) passed, harness.Differs, or str, what went wrong."""
    return sum(isinstance(problem, kind) for _, problem in outcomes)


def report_suite(suite, mine, reference):
    passed = type(None)
    print(f"{suite.name:20} vitrine {count(mine, passed):3} of {len(mine)}, "
          f"memcached {count(reference, passed):3} of {len(reference)}")
    for (name, problem), (_, other) in zip(mine, reference):
        if isinstance(problem, harness.Differs):
            print(f"  differs {name}: {problem}")
        elif problem:
            print(f"  FAIL {name}: {problem}" + (f" (memcached too: {other})" if other else ""))
        elif other:
            print(f"  note {name}: memcached fails: {other}")


def report(ours, theirs):
    """Prints both sides; returns (passed, failed) of ours. What differs on purpose is shown, and counted as neither."""
    for suite in SUITES:
        report_suite(suite, ours[suite.name], theirs[suite.name])
    mine = [outcome for outcomes in ours.values() for outcome in outcomes]
    return count(mine, type(None)), count(mine, str)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vitrine", required=True)
    arguments = parser.parse_args()
    options = ("-m", "64", "-t", "2")
    with servers.vitrine(arguments.vitrine, *options) as ours, servers.memcached(*options) as theirs, \
            ThreadPoolExecutor(2) as pool:
        results = list(pool.map(run_suites, (ours, theirs)))
    passed, failed = report(*results)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
