"""twemproxy (nutcracker) in front of three nodes, by the configuration that deploy/ ships; one is killed and comes back.

The nodes are the program's own, so that it can stop and start them; the proxy runs from a temporary folder.
"""
import atexit
import functools
import json
import os
import re
import socket
import subprocess
import tempfile
import time

from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheError

import servers
from harness import BRIEF_S, UNTIL_GONE_S, Suite, equal, raises, true

suite = Suite("twemproxy")
SHIPPED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy", "nutcracker.yml")
WAIT_S = 20


def node(port):
    """One more server of the kind under test, at that port."""
    kind, binary = os.environ["MATRIX_KIND"], os.environ["MATRIX_BINARY"]
    quiet = ["--admin-listen", "off"] if kind == "vitrine" else []
    return servers.Server(kind, servers.cache_command(binary, port, ["-m", "64", "-t", "1", *quiet]), port)


class Proxy:
    """Three nodes and a proxy in front of them."""

    def __init__(self):
        self.nodes = [node(servers.free_port()) for _ in range(3)]
        for each in self.nodes:
            each.__enter__()
            atexit.register(each.stop)
        self.port, self.stats_port, self.folder = servers.free_port(), servers.free_port(), tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "nutcracker.yml")
        with open(path, "w", encoding="ascii") as out:
            out.write(self.configuration())
        self.server = servers.Server("nutcracker", [
            "nutcracker", "-c", path, "-o", self.folder.name + "/log", "-p", self.folder.name + "/pid", "-a", "127.0.0.1", "-s",
            str(self.stats_port), "-i", "100"], self.port)
        self.server.__enter__()
        atexit.register(self.server.stop)

    def configuration(self):
        """What deploy/ ships, with our addresses in place of its own."""
        with open(SHIPPED, encoding="ascii") as text:
            shipped = text.read()
        ports = iter(self.nodes)
        named = re.sub(r"- [\d.]+:\d+:", lambda _: f"- 127.0.0.1:{next(ports).port}:", shipped)
        return re.sub(r"listen: \S+", f"listen: 127.0.0.1:{self.port}", named)

    def client(self):
        return Client(("127.0.0.1", self.port), timeout=5, default_noreply=False)

    def held(self, keys):
        """How many of the keys each node holds."""
        return [len(Client(("127.0.0.1", each.port), timeout=5).get_many(keys)) if each.process.poll() is None else 0
                for each in self.nodes]

    def stats(self):
        """The proxy's own figures of our pool."""
        with socket.create_connection(("127.0.0.1", self.stats_port), 5) as connection:
            return json.loads(connection.makefile("rb").read())["cache"]

    def store(self, keys):
        """Sets each key through the proxy; the keys that were refused."""
        refused, client = [], self.client()
        for key in keys:
            try:
                true(client.set(key, key.encode()))
            except (MemcacheError, OSError):
                refused.append(key)
                client = self.client()
        return refused

    def restart(self, each):
        """Starts a killed node again at its port."""
        self.nodes[self.nodes.index(each)] = again = node(each.port)
        again.__enter__()
        atexit.register(again.stop)


@functools.lru_cache(maxsize=None)
def proxy():
    return Proxy()


def until(condition):
    """Waits for a condition, for so long and no longer."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        true(time.monotonic() < deadline)
        time.sleep(0.05)


@suite.check
def shipped_configuration_is_valid(_):
    done = subprocess.run(["nutcracker", "-t", "-c", SHIPPED, "-o", "/dev/null"], capture_output=True, text=True, check=False)
    true("syntax is ok" in done.stderr + done.stdout)


@suite.check
def storage_commands_pass(target):
    c, key = proxy().client(), target.key()
    equal((c.replace(key, b"0"), c.add(key, b"1"), c.add(key, b"2"), c.replace(key, b"3"), c.get(key)),
          (False, True, False, True, b"3"))
    equal((c.append(key, b"4"), c.prepend(key, b"2"), c.get(key)), (True, True, b"234"))
    equal(c.append(target.key(), b"x"), False)


@suite.check
def tokens_pass(target):
    c, key = proxy().client(), target.key()
    c.set(key, b"1")
    value, token = c.gets(key)
    equal((value, c.cas(key, b"2", token), c.cas(key, b"3", token), c.cas(target.key(), b"3", token)), (b"1", True, False, None))


@suite.check
def counters_pass(target):
    c, key = proxy().client(), target.key()
    equal((c.incr(key, 1), c.decr(key, 1)), (None, None))
    c.set(key, b"10")
    equal((c.incr(key, 5), c.decr(key, 1), c.decr(key, 100)), (15, 14, 0))
    c.set(key, b"18446744073709551615")
    equal(c.incr(key, 2), 1)


@suite.check
def touch_and_expiry_pass(target):
    c, short, kept = proxy().client(), target.key(), target.key()
    c.set(short, b"v", expire=BRIEF_S)
    c.set(kept, b"v", expire=BRIEF_S)
    equal((c.touch(kept, 100), c.touch(target.key(), 100)), (True, False))
    time.sleep(UNTIL_GONE_S)
    equal((c.get(short), c.get(kept)), (None, b"v"))


@suite.check
def deletes_and_flags_pass(target):
    c, key = proxy().client(), target.key()
    c.set(key, b"v", flags=4294967295)
    with socket.create_connection(("127.0.0.1", proxy().port), 5) as raw:
        raw.sendall(f"get {key}\r\n".encode())
        equal(raw.makefile("rb").readline(), f"VALUE {key} 4294967295 1\r\n".encode())
    equal((c.delete(key), c.delete(key), c.get(key)), (True, False, None))


@suite.check
def values_of_many_sizes_pass(target):
    c, key = proxy().client(), target.key()
    for size in (0, 1, 100, 4096, 16383, 16384, 16385, 100000, 1000000):
        value = (bytes(range(256)) * (size // 256 + 1))[:size]
        c.set(key, value)
        equal(c.get(key), value)


@suite.check
def value_over_the_limit_is_refused(target):
    key = target.key()
    proxy().client().set(key, b"old")
    raises((MemcacheError, OSError), proxy().client().set, key, b"x" * ((1 << 20) + 1))
    until(lambda: not proxy().store([key]))


@suite.check
def noreply_commands_pass(target):
    c, keys = proxy().client(), [target.key() for _ in range(500)]
    c.set_many({key: b"v" for key in keys}, noreply=True)
    until(lambda: len(proxy().client().get_many(keys)) == 500)
    c.delete(keys[0], noreply=True)
    until(lambda: len(proxy().client().get_many(keys)) == 499)


@suite.check
def multi_gets_are_gathered_from_three_nodes(target):
    c, keys = proxy().client(), [target.key("several") for _ in range(300)]
    proxy().store(keys)
    equal(c.get_many(keys), {key: key.encode() for key in keys})
    equal({key: value for key, (value, _) in c.gets_many(keys).items()}, {key: key.encode() for key in keys})
    until(lambda: not proxy().store(keys) and all(proxy().held(keys)))  # a node may be out from what was refused before


@suite.check
def pipelined_requests_are_answered_in_order(target):
    keys = [target.key() for _ in range(200)]
    proxy().store(keys)
    with socket.create_connection(("127.0.0.1", proxy().port), 5) as raw:
        raw.sendall(b"".join(f"get {key}\r\n".encode() for key in keys))
        lines = raw.makefile("rb")
        for key in keys:
            answer = b"".join(lines.readline() for _ in range(3))
            equal(answer, f"VALUE {key} 0 {len(key)}\r\n{key}\r\nEND\r\n".encode())


@suite.check
def killed_node_is_left_out_and_its_keys_go_elsewhere(target):
    keys = [target.key("several") for _ in range(200)]
    equal(proxy().store(keys), [])
    lost = proxy().held(keys)[1]
    proxy().nodes[1].process.kill()
    proxy().nodes[1].process.wait()
    until(lambda: not proxy().store(keys))  # the first requests fail, then the node is out
    held = proxy().held(keys)
    equal((held[1], sum(held[::2])), (0, 200))
    true(lost > 0)
    until(lambda: proxy().stats()["server_ejects"] >= 1)


@suite.check
def other_nodes_keep_their_keys_meanwhile(target):
    keys = [target.key("several") for _ in range(100)]
    until(lambda: not proxy().store(keys))
    got = {}
    for key in keys:
        try:
            got[key] = proxy().client().get(key)
        except (MemcacheError, OSError):
            pass  # the proxy tries the dead node again every now and then
    true(sum(value is not None for value in got.values()) >= 90)


@suite.check
def node_that_comes_back_has_its_share_again(target):
    proxy().restart(proxy().nodes[1])
    keys = [target.key("several") for _ in range(200)]
    until(lambda: not proxy().store(keys) and proxy().held(keys)[1] > 20)
    equal(proxy().store(keys), [])
    equal(proxy().client().get_many(keys), {key: key.encode() for key in keys})


@suite.check
def proxy_counts_its_nodes(_):
    stats = proxy().stats()
    equal(sorted(name for name in stats if name.startswith("node")), ["node1", "node2", "node3"])
    true(all(stats[f"node{number}"]["requests"] > 0 for number in (1, 2, 3)))
