"""What the tests of this folder share: watchers, their lines as dictionaries, and memcached beside us."""
import re

import servers
from harness import Client

HEAD = re.compile(rb"ts=(\d+)\.(\d+) gid=(\d+) type=(\w+)( .*)?")
TYPES = {b"item_get": [b"key", b"status", b"clsid", b"cfd", b"size"],
         b"item_store": [b"key", b"status", b"cmd", b"ttl", b"clsid", b"cfd", b"size"],
         b"eviction": [b"key", b"fetch", b"ttl", b"la", b"clsid", b"size"],
         b"deleted": [b"key", b"cmd", b"clsid", b"size"],
         b"conn_new": [b"rip", b"rport", b"transport", b"cfd"],
         b"conn_close": [b"rip", b"rport", b"transport", b"reason", b"cfd"]}


class Watcher(Client):
    """A connection that watches; a memcached needs a second until its lines come."""

    def __init__(self, address, *streams):
        super().__init__(address)
        answer = self.ask(b" ".join((b"watch",) + streams) + b"\r\n")
        assert answer == b"OK\r\n", answer

    def line(self):
        return self.until(b"\n")[:-1]

    def event(self):
        return parse(self.line())

    def events_until(self, wanted):
        """The events up to and with the first that `wanted` says yes to."""
        events = []
        while not events or not wanted(events[-1]):
            events.append(self.event())
        return events


def parse(line):
    """A line as a dictionary, once its form is checked: the fields of its type, all of them, in memcached's order."""
    match = HEAD.fullmatch(line)
    assert match, line
    fields = [pair.split(b"=", 1) for pair in (match[5] or b"").split()]
    assert [name for name, _ in fields] == TYPES[match[4]], line
    return {b"ts": int(match[1]) + int(match[2]) / 1e6, b"gid": int(match[3]), b"type": match[4], **dict(fields)}


def memcached(*options):
    return servers.memcached("-m", "64", "-t", "1", *options)
