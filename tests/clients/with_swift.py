"""OpenStack Swift's MemcacheRing: consistent hashing over IPv4 and IPv6, counters that create, long timeouts.

The ring swallows errors and logs them, so its log is read too.
"""
import logging
import time

from eventlet.green import socket
from swift.common.memcached import MemcacheConnectionError, MemcacheRing, md5hash

from harness import BRIEF_S, UNTIL_GONE_S, Suite, equal, raises, true

suite = Suite("Swift MemcacheRing")
DAY_S = 24 * 60 * 60


class Log(logging.Handler):
    """Keeps what the ring logs."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def ring(servers, **options):
    """(ring, lines it logged)"""
    logger, log = logging.Logger("ring"), Log()
    logger.addHandler(log)
    return MemcacheRing(servers, connect_timeout=2, io_timeout=5, pool_timeout=5, logger=logger, **options), log.lines


def ask(address, key):
    """What one server answers to a get of Swift's hash of the key: the line of the value, or END."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 5) as connection:
        connection.sendall(b"get " + md5hash(key) + b"\r\n")
        return connection.makefile("rb").readline()


@suite.check
def json_values_round_trip(target):
    c, log = ring(target.servers)
    key = target.key()
    for value in ("text", "grüße", 42, 1.5, True, None, [1, [2]], {"a": {"b": []}}):
        c.set(key, value)
        equal(c.get(key), value)
    equal(log, [])


@suite.check
def raw_values_keep_their_bytes(target):
    c, log = ring(target.servers)
    key = target.key()
    for value in (b"", b"\r\n\0\xff" * 1000, b"x" * 700000):
        c.set(key, value, serialize=False)
        equal(c.get(key), value)
    equal(log, [])


@suite.check
def absent_key_is_none(target):
    equal(ring(target.servers)[0].get(target.key(), raise_on_error=True), None)


@suite.check
def any_key_works_since_it_is_hashed(target):
    c, _ = ring(target.servers)
    for key in ("with space", "k" * 1000, "ключ", "a\r\nb", b"\xff\x00"):
        c.set(key, "v", raise_on_error=True)
        equal(c.get(key), "v")
        c.delete(key)
        equal(c.get(key), None)


@suite.check
def keys_are_shared_out_over_the_servers(target):
    c, _ = ring(target.servers)
    keys = [target.key() for _ in range(90)]
    for key in keys:
        c.set(key, key)
    places = [[address for address in target.servers if ask(address, key).startswith(b"VALUE")] for key in keys]
    true(all(len(place) == 1 for place in places))
    equal(len({place[0] for place in places}), 3)


@suite.check
def ipv6_literals_are_reached(target):
    c, log = ring(target.servers6)
    keys = [target.key() for _ in range(30)]
    for key in keys:
        c.set(key, key, raise_on_error=True)
    equal([c.get(key) for key in keys], keys)
    equal(log, [])


@suite.check
def ipv4_and_ipv6_in_one_ring(target):
    c, log = ring([target.servers[0], target.servers6[1]])
    keys = [target.key() for _ in range(30)]
    for key in keys:
        c.set(key, key)
    equal([c.get(key) for key in keys], keys)
    equal(log, [])


@suite.check
def incr_creates_what_is_not_there(target):
    c, _ = ring(target.servers)
    key = target.key()
    equal([c.incr(key), c.incr(key), c.incr(key, delta=10), c.incr(key, delta=-5)], [1, 2, 12, 7])
    equal(c.incr(target.key(), delta=5), 5)
    equal(c.incr(target.key(), delta=-5), 0)


@suite.check
def decr_creates_nought_and_stops_there(target):
    c, _ = ring(target.servers)
    key = target.key()
    equal([c.decr(key, delta=4), c.incr(key, delta=4), c.decr(key, delta=3), c.decr(key, delta=9)], [0, 4, 1, 0])


@suite.check
def incr_wraps_at_two_to_the_64(target):
    c, _ = ring(target.servers)
    key = target.key()
    c.set(key, str((1 << 64) - 1).encode(), serialize=False)
    equal(c.incr(key), 0)


@suite.check
def incr_of_text_fails(target):
    c, log = ring(target.servers[:1])
    key = target.key()
    c.set(key, b"text", serialize=False)
    raises(MemcacheConnectionError, c.incr, key)
    true(log)
    equal(c.get(key), b"text")


@suite.check
def incr_keeps_its_time(target):
    c, _ = ring(target.servers)
    short, kept = target.key(), target.key()
    c.incr(short, time=1)
    c.incr(kept, time=31 * DAY_S)
    time.sleep(2.1)
    equal([c.get(short), c.incr(kept)], [None, 2])


@suite.check
def timeouts_to_the_second_and_negative(target):
    c, _ = ring(target.servers)
    short, kept, gone = (target.key() for _ in range(3))
    c.set(short, "v", time=1)
    c.set(kept, "v", time=100.5)
    c.set(gone, "v", time=-1)
    equal(c.get(gone), None)
    time.sleep(2.1)
    equal([c.get(short), c.get(kept)], [None, "v"])


@suite.check
def timeouts_over_thirty_days_are_absolute(target):
    c, _ = ring(target.servers)
    for days in (29, 30, 30.5, 31, 3650):
        key = target.key()
        c.set(key, days, time=days * DAY_S)
        equal(c.get(key), days)


@suite.check
def set_multi_and_get_multi_by_server_key(target):
    c, log = ring(target.servers)
    values = {target.key("m"): {"n": i} for i in range(200)}
    c.set_multi(values, "account")
    equal(c.get_multi([*values, target.key()], "account"), [*values.values(), None])
    holders = {address for address in target.servers for key in list(values)[:5] if ask(address, key).startswith(b"VALUE")}
    equal(len(holders), 1)
    c.delete(next(iter(values)), server_key="account")
    equal(c.get_multi(list(values), "account")[0], None)
    equal(log, [])


@suite.check
def set_multi_raw_and_timed(target):
    c, _ = ring(target.servers)
    keys = [target.key("m") for _ in range(3)]
    c.set_multi({key: b"raw" for key in keys}, "s", serialize=False, time=BRIEF_S)
    equal(c.get_multi(keys, "s"), [b"raw"] * 3)
    time.sleep(UNTIL_GONE_S)
    equal(c.get_multi(keys, "s"), [None] * 3)


@suite.check
def value_over_the_limit_is_logged_and_the_ring_goes_on(target):
    c, log = ring(target.servers[:1])
    key = target.key()
    c.set(key, "old")
    c.set(key, b"x" * ((1 << 20) + 1), serialize=False)
    true(log and "SERVER_ERROR object too large for cache" in log[0])
    fresh, _ = ring(target.servers[:1])
    equal(fresh.get(key), None)
    fresh.set(key, "new")
    equal(fresh.get(key), "new")


@suite.check
def warns_of_big_items(target):
    c, log = ring(target.servers, item_size_warning_threshold=100)
    c.set(target.key(), "x" * 200)
    true(log and "larger than warning threshold" in log[0])


@suite.check
def delete_of_an_absent_key_is_silent(target):
    c, log = ring(target.servers)
    c.delete(target.key())
    equal(log, [])


@suite.check
def dead_server_s_keys_go_to_the_next(target):
    c, log = ring([target.dead, *target.servers[:2]])
    keys = [target.key() for _ in range(60)]
    for key in keys:
        c.set(key, key, raise_on_error=True)
    equal([c.get(key) for key in keys], keys)
    true(any("Error limiting server" in line for line in log))


@suite.check
def no_server_at_all_raises_where_asked(target):
    c, _ = ring([target.dead])
    raises(MemcacheConnectionError, c.set, "k", "v", raise_on_error=True)
    raises(MemcacheConnectionError, c.get, "k", raise_on_error=True)
    raises(MemcacheConnectionError, c.incr, "k")
    equal(c.get("k"), None)
