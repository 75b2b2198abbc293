"""python-binary-memcached: the binary protocol in plain Python, replicating and distributed."""
import bz2
import socket
import time

import bmemcached
from bmemcached.exceptions import MemcachedException

from harness import Suite, equal, raises, true

suite = Suite("python-binary-memcached")


def client(target, **options):
    return bmemcached.Client([target.address], socket_timeout=1, **options)


def spread(target):
    return bmemcached.DistributedClient(target.servers, socket_timeout=1)


def text(target, line):
    """The first line that the server answers to a line in text."""
    with socket.create_connection((target.host, target.port), 5) as connection:
        connection.sendall(line.encode() + b"\r\n")
        return connection.makefile("rb").readline()


@suite.check
def objects_round_trip(target):
    c, key = client(target), target.key()
    for value in ("text", "grüße 世界", b"bytes\r\n\0", 42, 1 << 70, True, 1.5, {"a": [1, (2, 3)]}):
        true(c.set(key, value))
        equal(c.get(key), value)


@suite.check
def absent_key_gives_none_or_the_default(target):
    c = client(target)
    true(c.set(target.key(), "v"))
    equal(c.get(target.key()), None)
    equal(c.get(target.key(), "none"), "none")
    equal(c.get(target.key(), get_cas=True), (None, None))


@suite.check
def unicode_and_longest_keys(target):
    c = client(target)
    for key in (target.key("ключ-鍵"), target.key().ljust(250, "k")):
        true(c.set(key, "v"))
        equal(c.get(key), "v")


@suite.check
def too_long_key_is_refused(target):
    c = client(target)
    error = raises(MemcachedException, c.set, "k" * 251, "v")
    equal(error.code, 4)
    true(client(target).set(target.key(), "v"))


@suite.check
def flags_are_seen_in_text_too(target):
    c, key = client(target), target.key()
    true(c.set(key, 42))
    true(text(target, f"get {key}").startswith(f"VALUE {key} ".encode()))


@suite.check
def compressed_values_come_back(target):
    for c in (client(target), client(target, compression=bz2)):
        key, value = target.key(), "abc" * 100000
        true(c.set(key, value, compress_level=9))
        equal(c.get(key), value)


@suite.check
def values_of_many_sizes(target):
    c, key = client(target), target.key()
    for size in (0, 1, 100, 4096, 16384, 16385, 100000, 1000000):
        value = (bytes(i % 251 for i in range(1000)) * (size // 1000 + 1))[:size]
        true(c.set(key, value, compress_level=0))
        equal(c.get(key), value)


@suite.check
def value_over_the_limit_is_refused_and_the_old_one_gone(target):
    c, key = client(target), target.key()
    true(c.set(key, "old"))
    error = raises(MemcachedException, c.set, key, b"x" * ((1 << 20) + 1), compress_level=0)
    equal(error.code, 3)
    equal(c.get(key), None)
    true(c.set(key, "new"))


@suite.check
def add_and_replace_ask_first(target):
    c, key = client(target), target.key()
    equal(c.replace(key, 0), False)
    equal(c.add(key, 1), True)
    equal(c.add(key, 2), False)
    equal(c.replace(key, 3), True)
    equal(c.get(key), 3)


@suite.check
def cas_stores_once(target):
    c, key = client(target), target.key()
    equal(c.gets(key), (None, None))
    true(c.set(key, 1))
    value, token = c.gets(key)
    equal(value, 1)
    true(token)
    equal(c.cas(key, 2, token), True)
    equal(c.cas(key, 3, token), False)
    equal(c.get(key), 2)
    equal(c.cas(target.key(), 3, token), False)


@suite.check
def delete_tells_and_minds_the_cas(target):
    c, key = client(target), target.key()
    true(c.set(key, "v"))
    token = c.gets(key)[1]
    equal(c.delete(key, cas=token + 1), False)
    equal(c.delete(key, cas=token), True)
    equal(c.get(key), None)


@suite.check
def counters_create_count_and_stop(target):
    c, key = client(target), target.key()
    equal(c.incr(key, 5, default=10), 10)
    equal((c.incr(key, 5), c.decr(key, 1), c.decr(key, 100)), (15, 14, 0))
    equal(c.decr(target.key(), 5, default=7), 7)


@suite.check
def counter_wraps_at_two_to_the_64(target):
    c, key = client(target), target.key()
    equal(c.incr(key, 1, default=(1 << 64) - 1), (1 << 64) - 1)
    equal(c.incr(key, 2), 1)


@suite.check
def counter_of_text_is_refused(target):
    c, key = client(target), target.key()
    true(c.set(key, "text"))
    equal(raises(MemcachedException, c.incr, key, 1).code, 6)


@suite.check
def counter_without_creating(target):
    c, key = client(target), target.key()
    equal(raises(MemcachedException, c.incr, key, 1, time=0xFFFFFFFF).code, 1)


@suite.check
def many_keys_at_once(target):
    c = client(target)
    values = {target.key("m"): f"{i}" for i in range(500)}
    equal(c.set_multi(values), [])
    equal(c.get_multi([*values, target.key()]), values)
    tokens = c.get_multi(list(values), get_cas=True)
    equal({key: value for key, (value, _) in tokens.items()}, values)
    true(c.delete_multi(list(values)))
    equal(c.get_multi(list(values)), {})


@suite.check
def set_multi_with_tokens_tells_what_failed(target):
    c, one, other = client(target), target.key(), target.key()
    true(c.set(one, "old"))
    token = c.gets(one)[1]
    equal([key for key, _ in c.set_multi({(one, token + 1): "new", other: "v"})], [one])
    equal(c.get_multi([one, other]), {one: "old", other: "v"})


@suite.check
def expiry_to_the_second_and_over_thirty_days(target):
    c, short, kept, absolute = client(target), *(target.key() for _ in range(3))
    true(c.set(short, "v", time=1))
    true(c.set(kept, "v", time=100))
    true(c.set(absolute, "v", time=int(time.time()) + 40 * 24 * 3600))
    time.sleep(2.1)
    equal([c.get(short), c.get(kept), c.get(absolute)], [None, "v", "v"])


@suite.check
def stats_of_every_group(target):
    c = client(target)
    true(c.set(target.key(), "v"))
    general, = c.stats().values()
    true(int(general["curr_items"]) >= 1)
    for group in ("settings", "items", "slabs"):
        true(next(iter(c.stats(group).values())))


@suite.check
def flush_with_a_delay_then_at_once(target):
    c, key = client(target), target.key()
    true(c.set(key, "v"))
    true(c.flush_all(100))
    equal(c.get(key), "v")
    true(c.flush_all())
    equal(c.get(key), None)
    true(c.set(key, "new"))
    equal(c.get(key), "new")


@suite.check
def noop_answers(target):
    c = client(target)
    equal([server.noop() for server in c.servers], [0])


@suite.check
def authentication_is_told_to_be_off(target):
    c = client(target, username="user", password="secret")
    key = target.key()
    true(c.set(key, "v"))  # a server without SASL says that it knows no such command; the client goes on
    equal(c.get(key), "v")


@suite.check
def reconnects_after_disconnect(target):
    c, key = client(target), target.key()
    true(c.set(key, "v"))
    c.disconnect_all()
    equal(c.get(key), "v")


@suite.check
def unix_socket_serves(target):
    c, key = bmemcached.Client([target.path], socket_timeout=1), target.key()
    true(c.set(key, "v"))
    equal(c.get(key), "v")


@suite.check
def replicas_stand_in_for_a_dead_server(target):
    c, key = bmemcached.ReplicatingClient([target.dead, *target.servers[:2]], socket_timeout=1), target.key()
    true(c.set(key, "v"))
    equal(c.get(key), "v")
    equal([bmemcached.Client([address], socket_timeout=1).get(key) for address in target.servers[:2]], ["v", "v"])


@suite.check
def distributed_client_shares_keys_out(target):
    c = spread(target)
    values = {target.key("several"): f"{i}" for i in range(90)}
    equal(c.set_multi(values), [])
    equal(c.get_multi(list(values)), values)
    held = [len(bmemcached.Client([address], socket_timeout=1).get_multi(list(values))) for address in target.servers]
    equal(sum(held), 90)
    true(all(held))
    true(c.delete_multi(list(values)))


@suite.check
def distributed_client_does_every_operation(target):
    c, key = spread(target), target.key()
    equal((c.replace(key, "0"), c.add(key, "1"), c.get(key)), (False, True, "1"))
    value, token = c.gets(key)
    equal((value, c.cas(key, "2", token), c.delete(key)), ("1", True, True))
    equal((c.incr(key, 1, default=4), c.decr(key, 1)), (4, 3))
    true(c.flush_all())
    equal(c.get(key), None)
