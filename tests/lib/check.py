"""Runs every test suite, two at a time, and prints one line each, a table at the end, and 'N passed, N failed'.

A suite is a make target whose last 'N passed, N failed' line is its count; where it has none, its lines that begin with
'ok' and 'FAIL' are. One that ends badly without a failure to show counts as one failure. Nothing is skipped: a program that a suite needs and that is not there stops the run.
"""
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

LOGS = "build/check"
COUNT = re.compile(r"^(\d+) passed, (\d+) failed", re.M)
# The longest first, so that two at a time end together.
SUITES = [
    ("browser", ["browser-check"]),
    ("stress (plain, TSan, ASan)", ["stress"]),
    ("client matrix", ["matrix"]),
    ("unit (ASan, UBSan)", ["SANITIZE=address", "unit"]),
    ("unit (TSan)", ["SANITIZE=thread", "unit"]),
    ("unit", ["unit"]),
    ("server", ["server-check"]),
    ("server (ASan, UBSan)", ["SANITIZE=address", "server-check"]),
    ("server (TSan)", ["SANITIZE=thread", "server-check"]),
    ("tls", ["tls-check"]),
    ("tls (ASan, UBSan)", ["SANITIZE=address", "tls-check"]),
    ("tls (TSan)", ["SANITIZE=thread", "tls-check"]),
    ("options", ["options-check"]),
    ("options (ASan, UBSan)", ["SANITIZE=address", "options-check"]),
    ("admin", ["admin-check"]),
    ("admin (ASan, UBSan)", ["SANITIZE=address", "admin-check"]),
    ("soak (20 s)", ["soak", "SECONDS=20"]),
    ("transcripts", ["transcripts"]),
    ("transcripts (ASan, UBSan)", ["SANITIZE=address", "transcripts"]),
    ("binary", ["binary-check"]),
    ("binary (ASan, UBSan)", ["SANITIZE=address", "binary-check"]),
    ("watch", ["watch-check"]),
    ("watch (ASan, UBSan)", ["SANITIZE=address", "watch-check"]),
    ("watch (TSan)", ["SANITIZE=thread", "watch-check"]),
    ("clients", ["clients-check"]),
    ("metrics", ["metrics-check"]),
    ("docs", ["docs-check"]),
]
PROGRAMS = {"gcc": "gcc", "memcached": "memcached", "promtool": "prometheus", "chromium": "chromium", "node": "nodejs",
            "memccapable": "libmemcached-tools", "pkg-config": "pkg-config", "openssl": "openssl",
            "saslpasswd2": "sasl2-bin"}
MODULES = {"prometheus_client": "python3-prometheus-client", "pymemcache": "python3-pymemcache",
           "memcache": "python3-memcache", "pylibmc": "python3-pylibmc"}


def missing_packages():
    found = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    for module, package in MODULES.items():
        if subprocess.run(["/usr/bin/python3", "-c", f"import {module}"], stderr=subprocess.DEVNULL, check=False).returncode:
            found.append(package)
    if subprocess.run(["pkg-config", "--exists", "check"], check=False).returncode:
        found.append("check")
    return found


def make(arguments, log):
    """Runs make with its output in a file; the exit status."""
    with open(log, "wb") as out:
        return subprocess.run(["make", "--no-print-directory", *arguments], stdout=out, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, check=False).returncode


def tail(log, count):
    with open(log, encoding="utf-8", errors="replace") as text:
        return "".join(text.readlines()[-count:])


def build():
    """Everything that more than one suite needs, before two of them would build it at once."""
    jobs = f"-j{os.cpu_count()}"
    for name, arguments in (("build", [jobs, "all", "unit-programs"]),
                            ("build-address", [jobs, "SANITIZE=address", "all", "unit-programs"]),
                            ("build-thread", [jobs, "SANITIZE=thread", "all", "unit-programs"])):
        log = f"{LOGS}/{name}.log"
        print(f"...  {name}", flush=True)
        if make(arguments, log):
            print(tail(log, 40))
            raise SystemExit(f"check: `make {' '.join(arguments)}` failed")


def failures(log):
    """Each failure with the lines that follow it; where no line names one, the end of the log."""
    with open(log, encoding="utf-8", errors="replace") as out:
        lines = out.readlines()
    found = [i for i, line in enumerate(lines) if re.match(r"FAIL|.*:[FE]:|ERROR: ", line)]
    if not found:
        return tail(log, 40)
    shown = sorted({j for i in found[:10] for j in range(i, min(i + 14, len(lines)))})
    return "".join(lines[j] for j in shown)


def count(log):
    """(passed, failed) as a suite's output tells them."""
    with open(log, encoding="utf-8", errors="replace") as out:
        text = out.read()
    closing = COUNT.findall(text)
    if closing:
        return tuple(map(int, closing[-1]))
    return len(re.findall(r"^ok ", text, re.M)), len(re.findall(r"^FAIL ", text, re.M))


def run(suite):
    """(name, passed, failed, seconds, log) of one suite."""
    name, arguments = suite
    log = f"{LOGS}/{'-'.join(arguments).replace('SANITIZE=', '')}.log"
    start = time.monotonic()
    status = make(arguments, log)
    passed, failed = count(log)
    if status and not failed:
        failed = 1
    return name, passed or int(not failed), failed, time.monotonic() - start, log


def main():
    os.makedirs(LOGS, exist_ok=True)
    missing = missing_packages()
    if missing:
        raise SystemExit(f"check: missing {' '.join(missing)}: run tools/install-deps.sh --tests")
    start = time.monotonic()
    build()
    results = []
    with ThreadPoolExecutor(2) as pool:
        for done in as_completed([pool.submit(run, suite) for suite in SUITES]):
            name, passed, failed, seconds, log = done.result()
            results.append(done.result())
            print(f"{'FAIL' if failed else 'ok  '} {name}: {passed} passed, {failed} failed ({seconds:.0f} s)", flush=True)
            if failed:
                print(failures(log), flush=True)
    print(f"\n{'suite':28} {'passed':>7} {'failed':>7} {'seconds':>8}")
    for name, passed, failed, seconds, _ in sorted(results, key=lambda r: [s[0] for s in SUITES].index(r[0])):
        print(f"{name:28} {passed:7} {failed:7} {seconds:8.0f}")
    print(f"{'in all':28} {'':7} {'':7} {time.monotonic() - start:8.0f}; logs in {LOGS}/")
    failed = sum(r[2] for r in results)
    print(f"{sum(r[1] for r in results)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    sys.exit(main())
