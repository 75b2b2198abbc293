"""Runs suites written in Python as a program of the matrix: program.py MODULE[:SUITE]...

Prints a line a check, as the programs in other languages do: 'ok NAME', 'FAIL NAME: why' or 'differs NAME: why'.
"""
import importlib
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib")]

import harness


def find_suite(word):
    module, _, name = word.partition(":")
    return getattr(importlib.import_module(module), name or "suite")


def line(name, problem):
    if problem is None:
        return f"ok {name}"
    kind = "differs" if isinstance(problem, harness.Differs) else "FAIL"
    return f"{kind} {name}: " + " ".join(str(problem).split())[:400]


def main():
    target = harness.Target.from_environment()
    for suite in map(find_suite, sys.argv[1:]):
        for check in suite.checks:
            print(line(check.__name__, harness.outcome(check, target)), flush=True)


if __name__ == "__main__":
    main()
