"""libmemcached-tools: the command line programs, in the text protocol and, in the matrix, in the binary one."""
import functools
import os
import re
import socket
import subprocess
import tempfile
import time

from pymemcache.client.base import Client

from harness import Differs, Suite, equal, true

suite = Suite("libmemcached-tools")
binary_suite = Suite("libmemcached-tools, binary")


def run(target, program, *arguments):
    """(exit status, standard output) of a program pointed at the server."""
    protocol = ["--binary"] if target.protocol == "binary" else []
    done = subprocess.run([program, f"--servers={target.address}", *protocol, *arguments], capture_output=True, timeout=20,
                          check=False)
    return done.returncode, done.stdout


def client(target):
    return Client((target.host, target.port), timeout=5, default_noreply=False)


@suite.check
def memcping_finds_the_server(target):
    equal(run(target, "memcping")[0], 0)


@suite.check
def memccp_stores_a_file_and_memccat_prints_it(target):
    with tempfile.TemporaryDirectory() as folder:
        name = target.key("file")
        path = os.path.join(folder, name)
        with open(path, "wb") as out:
            out.write(b"line 1\nline 2\n" * 1000)
        equal(run(target, "memccp", path)[0], 0)
        status, text = run(target, "memccat", name)
        equal(status, 0)
        equal(text.rstrip(b"\n"), (b"line 1\nline 2\n" * 1000).rstrip(b"\n"))


@suite.check
def memccp_takes_flags_and_expiry(target):
    with tempfile.TemporaryDirectory() as folder:
        name = target.key("file")
        path = os.path.join(folder, name)
        with open(path, "wb") as out:
            out.write(b"v")
        equal(run(target, "memccp", "--set", "--flags=7", "--expire=100", path)[0], 0)
        equal(run(target, "memccat", "--flags", name)[0], 0)


@suite.check
def memcexist_tells_presence(target):
    key = target.key()
    client(target).set(key, b"v")
    equal(run(target, "memcexist", key)[0], 0)
    true(run(target, "memcexist", target.key())[0] != 0)


@suite.check
def memctouch_and_memcrm_change_an_item(target):
    key = target.key()
    client(target).set(key, b"v")
    equal(run(target, "memctouch", "--expire=100", key)[0], 0)
    equal(run(target, "memcrm", key)[0], 0)
    equal(client(target).get(key), None)
    true(run(target, "memcrm", key)[0] != 0)


@suite.check
def memcstat_prints_the_figures(target):
    status, text = run(target, "memcstat")
    equal(status, 0)
    for name in (b"curr_items", b"get_hits", b"limit_maxbytes", b"version"):
        true(name in text)


@suite.check
def memcdump_lists_the_keys(target):
    keys = [target.key() for _ in range(20)]
    client(target).set_many({key: b"v" for key in keys})
    missing = set(keys)
    for _ in range(20):  # memcached lists an item once its maintainer has moved it to the cold list
        status, text = run(target, "memcdump")
        equal(status, 0)
        missing = set(keys) - set(text.decode().split())
        if not missing:
            break
        time.sleep(0.25)
    equal(missing, set())


@suite.check
def memcslap_stores_and_reads(target):
    for test in ("set", "get", "mget"):
        equal(run(target, "memcslap", "--concurrency=4", "--execute-number=200", "--initial-load=1000",
                  f"--test={test}")[0], 0)


@suite.check
def memcflush_empties(target):
    key = target.key()
    client(target).set(key, b"v")
    equal(run(target, "memcflush")[0], 0)
    equal(client(target).get(key), None)


@functools.lru_cache(maxsize=None)
def _memccapable(host, port, protocol):
    """{test: whether it passed}; one run, since its tests are made to follow each other."""
    done = subprocess.run(["memccapable", "-h", host, "-p", str(port), "-t", "10", f"-{protocol[0]}"], capture_output=True,
                          timeout=120, check=False)
    found = re.findall(rf"({protocol} .{{{40 - len(protocol) - 1}}})(\[pass\])?", done.stdout.decode(errors="replace"))
    return {name.strip(): bool(verdict) for name, verdict in found}


def _capable(name):
    """One test of memccapable as a check of its own."""

    def check(target):
        results = _memccapable(target.host, target.port, name.split()[0])
        if name not in results:
            raise AssertionError(f"memccapable did not get to it, only to {sorted(results)}")
        if not results[name] and name.startswith("ascii delete"):
            _delete_is_as_in_memcached_1_6_45(target)
        true(results[name])

    check.__name__ = "memccapable_" + name.replace(" ", "_")
    return check


def _delete_is_as_in_memcached_1_6_45(target):
    """memccapable wants an error for `delete a b`, as memcached 1.6.18 gives it; 1.6.45 ignores the word. All else that
    its test of delete asks for is asked for here."""
    key, other = target.key(), target.key()
    client(target).set_many({key: b"v", other: b"v"})
    with socket.create_connection((target.host, target.port), 5) as connection:
        connection.sendall(f"delete\r\ndelete {key} word\r\ndelete {key}\r\ndelete {other} noreply\r\n"
                           f"get {key} {other}\r\n".encode())
        lines = connection.makefile("rb")
        equal([lines.readline() for _ in range(4)],
              [b"CLIENT_ERROR bad command line format\r\n", b"DELETED\r\n", b"NOT_FOUND\r\n", b"END\r\n"])
    raise Differs("memccapable wants an error for `delete a b`, which memcached 1.6.45 takes for `delete a`")


for _command in ("version", "quit", "verbosity", "set", "set noreply", "get", "gets", "mget", "flush", "flush noreply", "add",
                 "add noreply", "replace", "replace noreply", "cas", "cas noreply", "delete", "delete noreply", "incr",
                 "incr noreply", "decr", "decr noreply", "append", "append noreply", "prepend", "prepend noreply", "stat"):
    suite.check(_capable("ascii " + _command))
BINARY = ("noop", "quit", "quitq", "set", "setq", "flush", "flushq", "add", "addq", "replace", "replaceq", "delete", "deleteq",
          "get", "getq", "getk", "getkq", "incr", "incrq", "decr", "decrq", "version", "append", "appendq", "prepend", "prependq",
          "stat")
for _check in suite.checks:
    # memcdump stands on a text command, and memcping --binary fails on memcached as well.
    if "ascii" not in _check.__name__ and _check.__name__ not in ("memcdump_lists_the_keys", "memcping_finds_the_server"):
        binary_suite.check(_check)
for _command in BINARY:
    binary_suite.check(_capable("binary " + _command))
