#!/usr/bin/env python3
"""Runs the tests of the admin server: every function test_* of the test_*.py files here, or those named.

VITRINE names the binary (default build/vitrine). Each file gets one server, which must end cleanly.
Prints one line a test and 'N passed, N failed' at the end."""

import importlib
import os
import sys
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True


def tests_of(module, wanted):
    names = [name for name in vars(module) if name.startswith("test_") and callable(getattr(module, name))]
    return [name for name in names if not wanted or any(word in f"{module.__name__}.{name}" for word in wanted)]


def run_one(label, function, *arguments):
    try:
        function(*arguments)
    except Exception:
        print(f"FAIL {label}")
        traceback.print_exc(file=sys.stdout)
        return False
    print(f"ok   {label}", flush=True)
    return True


def run_module(module, names):
    from server import Server

    results = []
    server = Server(*getattr(module, "OPTIONS", []))
    for name in names:
        results.append(run_one(f"{module.__name__}.{name}", getattr(module, name), server))
    results.append(run_one(f"{module.__name__}: the daemon ends cleanly", server.stop))
    return results


def main():
    results = []
    for file in sorted(os.listdir(HERE)):
        if not file.startswith("test_") or not file.endswith(".py"):
            continue
        module = importlib.import_module(file[:-3])
        names = tests_of(module, sys.argv[1:])
        if names:
            results += run_module(module, names)
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    return 0 if results and all(results) else 1


sys.exit(main())
