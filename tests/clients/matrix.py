"""The client matrix: real clients, each through its whole interface, against memcached and against Vitrine.

A client's program gets the servers in its environment (see `environment`) and prints a line a check: 'ok NAME',
'FAIL NAME: why', or 'differs NAME: why' for a difference made on purpose. A check fails when it passes on memcached but
not on Vitrine; then the exit status is 1. The closing line is 'N passed, N failed'.
"""
import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib")]

import servers
from secured import Secrets

LINE = re.compile(r"^(ok|FAIL|differs) ([^:]+)(?:: (.*))?$")
ENDS = "program ends well"
LIMIT_S = 120


@dataclass
class Client:
    """One row: a client in one protocol. package is a Debian package, or npm/NAME; secured as secured.Secrets has it."""
    name: str
    protocol: str
    package: str
    command: list
    secured: str = ""

    @property
    def way(self):
        return f"{self.protocol}+{self.secured}" if self.secured else self.protocol


def python(*suites):
    return ["/usr/bin/python3", os.path.join(HERE, "program.py"), *suites]


def script(interpreter, file, *options):
    return [interpreter, *options, os.path.join(HERE, file)]


GO = ["env", "GO111MODULE=off", "GOPATH=/usr/share/gocode", "GOFLAGS=", "GOTOOLCHAIN=local", "go", "run"]
JAVA = ["java", "-XX:TieredStopAtLevel=1", "-cp", "/usr/share/java/spymemcached.jar"]
CLIENTS = [
    Client("pymemcache", "text", "python3-pymemcache", python("with_pymemcache", "with_several:pymemcache_suite")),
    Client("python-memcached", "text", "python3-memcache", python("with_memcache", "with_several:memcache_suite")),
    Client("pylibmc", "text", "python3-pylibmc", python("with_pylibmc", "with_several:pylibmc_suite")),
    Client("pylibmc", "binary", "python3-pylibmc", python("with_pylibmc", "with_several:pylibmc_suite")),
    Client("binary-memcached", "binary", "python3-binary-memcached", python("with_bmemcached")),
    Client("Swift MemcacheRing", "text", "python3-swift", python("with_swift")),
    Client("Django PyMemcacheCache", "text", "python3-django", python("with_django:pymemcache_suite")),
    Client("Django PyLibMCCache", "text", "python3-django", python("with_django:pylibmc_suite")),
    Client("Django PyLibMCCache", "binary", "python3-django", python("with_django:pylibmc_suite")),
    Client("Django MemcachedCache", "text", "python3-django", python("with_django:memcached_suite")),
    Client("PHP memcached", "text", "php8.2-memcached", script("php", "with_memcached.php")),
    Client("PHP memcached", "binary", "php8.2-memcached", script("php", "with_memcached.php")),
    Client("PHP memcache", "text", "php8.2-memcache", script("php", "with_memcache.php", "-d", "memcache.protocol=ascii")),
    Client("PHP memcache", "binary", "php8.2-memcache", script("php", "with_memcache.php", "-d", "memcache.protocol=binary")),
    Client("Ruby dalli", "binary", "ruby-dalli", script("ruby", "with_dalli.rb")),
    Client("Perl Cache::Memcached", "text", "libcache-memcached-perl", script("perl", "with_cache_memcached.pl")),
    Client("Perl ::Fast", "text", "libcache-memcached-fast-perl", script("perl", "with_cache_memcached_fast.pl")),
    Client("Go gomemcache", "text", "golang-github-bradfitz-gomemcache-dev", [*GO, os.path.join(HERE, "with_gomemcache.go")]),
    Client("Java spymemcached", "text", "libspymemcached-java", [*JAVA, os.path.join(HERE, "WithSpymemcached.java")]),
    Client("Java spymemcached", "binary", "libspymemcached-java", [*JAVA, os.path.join(HERE, "WithSpymemcached.java")]),
    Client("Node memcached", "text", "npm/memcached", script("node", "with_memcached.mjs")),
    Client("Node memjs", "binary", "npm/memjs", script("node", "with_memjs.mjs")),
    Client("libmemcached-tools", "text", "libmemcached-tools", python("with_tools", "with_load:suite")),
    Client("libmemcached-tools", "binary", "libmemcached-tools", python("with_tools:binary_suite", "with_load:suite")),
    Client("memcached-tool", "text", "memcached", python("with_memcached_tool")),
    Client("nginx memcached_pass", "text", "nginx-light", python("with_nginx")),
    Client("PostgreSQL pgmemcache", "text", "postgresql-15-pgmemcache", python("with_pgmemcache")),
    Client("PostgreSQL pgmemcache", "binary", "postgresql-15-pgmemcache", python("with_pgmemcache")),
    Client("twemproxy", "text", "nutcracker", python("with_nutcracker")),
    Client("pymemcache", "text", "python3-pymemcache", python("with_secured:pymemcache_suite"), "TLS"),
    Client("Swift MemcacheRing", "text", "python3-swift", python("with_secured:swift_suite"), "TLS"),
    Client("binary-memcached", "binary", "python3-binary-memcached", python("with_secured:bmemcached_suite"), "TLS"),
    Client("pymemcache", "text", "python3-pymemcache", python("with_secured:auth_suite"), "auth"),
    Client("binary-memcached", "binary", "python3-binary-memcached", python("with_secured:bmemcached_sasl_suite"), "SASL"),
    Client("pylibmc", "binary", "python3-pylibmc", python("with_secured:pylibmc_sasl_suite"), "SASL"),
    Client("PHP memcached", "binary", "php8.2-memcached", script("php", "with_memcached.php"), "SASL"),
    Client("Ruby dalli", "binary", "ruby-dalli", script("ruby", "with_dalli.rb"), "SASL"),
    Client("Node memjs", "binary", "npm/memjs", script("node", "with_memjs.mjs"), "SASL"),
]


class PathServer(servers.Server):
    """A server at a Unix socket."""

    def __init__(self, name, command, path):
        super().__init__(name, command, None)
        self.path = path

    def _answers(self):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(self.path)
                return True
            except OSError:
                time.sleep(0.02)
                return False


def start_tcp(kind, binary, options):
    """A server of that kind on both loopbacks; a port that another one took meanwhile is given up for another."""
    for attempt in range(5):
        try:
            make = servers.vitrine if kind == "vitrine" else lambda _, *options: servers.memcached(*options)
            return make(binary, "-m", "64", "-t", "2", "-l", "::1", *options).__enter__()
        except SystemExit:
            if attempt == 4:
                raise
    return None


def start_path(kind, binary, folder):
    """A server of that kind at a Unix socket that everybody may use."""
    path = os.path.join(folder, "s")
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    quiet = ["--admin-listen", "off"] if kind == "vitrine" else []
    return PathServer(kind, [binary, "-s", path, "-a", "777", "-m", "64", *user, *quiet], path).__enter__()


@contextlib.contextmanager
def environment(kind, binary, client, secrets):
    """Servers of one kind, and the environment that tells a client's program of them."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="matrix-"))
        os.chmod(folder, 0o777)
        started = []
        for _ in range(3):
            started.append(start_tcp(kind, binary, secrets.options(kind, client.secured)))
            stack.callback(started[-1].stop)
        started.append(start_path(kind, binary, folder))
        stack.callback(started[-1].stop)
        stack.callback(lambda: [server.process.terminate() for server in started])  # all at once, then one by one
        dead = stack.enter_context(socket.socket())  # bound, so that nobody else gets the port, but not listening
        dead.bind(("127.0.0.1", 0))
        yield {**os.environ, "MATRIX_PROTOCOL": client.protocol, "MATRIX_KIND": kind, "MATRIX_BINARY": binary,
               "MATRIX_SERVERS": ",".join(f"127.0.0.1:{server.port}" for server in started[:3]),
               "MATRIX_SERVERS6": ",".join(f"[::1]:{server.port}" for server in started[:3]),
               "MATRIX_DEAD": f"127.0.0.1:{dead.getsockname()[1]}", "MATRIX_PATH": os.path.join(folder, "s"),
               "GOCACHE": os.path.abspath("build/go-cache"), **secrets.environment(client.secured)}


def execute(command, variables, errors):
    """(what the command printed, None or how it ended badly); one that takes too long ends with all its children."""
    if not shutil.which(command[0]):
        return "", f"{command[0]} is missing: run tools/install-deps.sh --clients"
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL,
                          errors="replace", start_new_session=True) as process:
        try:
            output = process.communicate(timeout=LIMIT_S)[0]
            return output, f"exit status {process.returncode}" if process.returncode else None
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.communicate()[0], f"not done after {LIMIT_S} s"


def run(kind, binary, client, secrets):
    """({check: (verdict, why)}, seconds) of one client against one kind of server."""
    start = time.monotonic()
    output, problem, said = "", None, ""
    try:
        with environment(kind, binary, client, secrets) as variables, \
                tempfile.TemporaryFile("w+", errors="replace") as errors:
            output, problem = execute(client.command, variables, errors)
            errors.seek(0)
            said = " | ".join(errors.read().split("\n")[-6:])
    except SystemExit as no_server:
        problem = " ".join(str(no_server).split())
    found = {match[2]: (match[1], match[3] or "") for match in map(LINE.match, output.splitlines()) if match}
    if problem or not found:
        found[ENDS] = ("FAIL", f"{problem or 'no checks'}: {said}"[:600])
    else:
        found[ENDS] = ("ok", "")
    return found, time.monotonic() - start


def version(package):
    """The installed version of what the row names."""
    if package.startswith("npm/"):
        with open(os.path.join(HERE, "node_modules", package[4:], "package.json"), encoding="utf-8") as text:
            return json.load(text)["version"]
    shown = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=False)
    return re.sub(r"^\d+:|[-+~].*$", "", shown.stdout) or "?"


@dataclass
class Outcome:
    """What both servers came to in one row."""
    client: Client
    theirs: dict
    ours: dict
    seconds: float

    def count(self, side, verdict):
        return sum(found[0] == verdict for found in side.values())

    def verdicts(self, check):
        """(memcached's, ours) of one check; one that a program did not get to has failed there."""
        absent = ("FAIL", "the program did not get to it")
        return self.theirs.get(check, absent), self.ours.get(check, absent)

    def checks(self):
        return list(dict.fromkeys([*self.theirs, *self.ours]))

    def worse(self):
        """[(check, why)] of what passes on memcached only."""
        both = [(check, *self.verdicts(check)) for check in self.checks()]
        return [(check, ours[1]) for check, theirs, ours in both if theirs[0] != "FAIL" and ours[0] == "FAIL"]

    def notes(self):
        """Lines about everything else that is not simply passed."""
        for check in self.checks():
            theirs, ours = self.verdicts(check)
            if ours[0] == "differs":
                yield f"differs {check}: {ours[1]}"
            elif theirs[0] == "FAIL":
                yield f"note {check} fails on memcached{' too' if ours[0] == 'FAIL' else ''}: {theirs[1]}"


def compare(client, binaries, secrets):
    theirs, their_s = run("memcached", binaries["memcached"], client, secrets)
    ours, our_s = run("vitrine", binaries["vitrine"], client, secrets)
    outcome = Outcome(client, theirs, ours, their_s + our_s)
    worse = outcome.worse()
    lines = [f"{'FAIL' if worse else 'ok  '} {client.name} ({client.way}): memcached "
             f"{outcome.count(theirs, 'ok')} of {len(outcome.checks())}, vitrine {outcome.count(ours, 'ok')} of "
             f"{len(outcome.checks())} ({outcome.seconds:.0f} s)"]
    lines += [f"  FAIL {check}: {why}" for check, why in worse] + [f"  {note}" for note in outcome.notes()]
    print("\n".join(lines), flush=True)
    return outcome


def report(outcomes):
    """Prints the table; returns (passed, failed): what passes here, and what passes on memcached only."""
    print(f"\n{'client':24} {'version':9} {'protocol':11} {'checks':>6} {'memcached':>9} {'vitrine':>8} {'worse':>6} "
          f"{'seconds':>8}")
    for o in outcomes:
        print(f"{o.client.name:24} {version(o.client.package):9.9} {o.client.way:11} {len(o.checks()):6} "
              f"{o.count(o.theirs, 'ok'):9} {o.count(o.ours, 'ok'):8} {len(o.worse()):6} {o.seconds:8.0f}")
    print(f"{'in all':46} {sum(len(o.checks()) for o in outcomes):6} {sum(o.count(o.theirs, 'ok') for o in outcomes):9} "
          f"{sum(o.count(o.ours, 'ok') for o in outcomes):8}")
    return sum(o.count(o.ours, "ok") for o in outcomes), sum(len(o.worse()) for o in outcomes)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vitrine", required=True)
    parser.add_argument("--only", default="", help="clients of whose 'NAME (PROTOCOL)' one of these, parted by commas, is a part")
    arguments = parser.parse_args()
    words = arguments.only.lower().split(",")
    chosen = [client for client in CLIENTS if any(word in f"{client.name} ({client.way})".lower() for word in words)]
    binaries = {"vitrine": os.path.abspath(arguments.vitrine), "memcached": servers.MEMCACHED}
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="matrix-") as folder, ThreadPoolExecutor(6) as pool:
        os.chmod(folder, 0o755)
        secrets = Secrets(folder)
        outcomes = list(pool.map(lambda client: compare(client, binaries, secrets), chosen))
    passed, failed = report(outcomes)
    print(f"matrix: {time.monotonic() - start:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
