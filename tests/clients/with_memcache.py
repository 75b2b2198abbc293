"""python-memcached: the client named memcache, through its whole interface.

Left out: get_slabs and get_slab_stats, which mix text and bytes up in Python 3 against any server.
"""
import time

import memcache

from harness import BRIEF_S, UNTIL_GONE_S, Suite, equal, raises, true

suite = Suite("python-memcached")


def client(target, **options):
    return memcache.Client([target.address], socket_timeout=5, **options)


@suite.check
def objects_round_trip(target):
    c, key = client(target), target.key()
    for value in ("text", "grüße 世界", b"bytes\r\n\0", 42, 1 << 70, True, 1.5, {"a": [1, (2, 3)]}):
        true(c.set(key, value))
        equal(c.get(key), value)


@suite.check
def unicode_key_survives(target):
    c, key = client(target), target.key("ключ-鍵")
    true(c.set(key, "v"))
    equal(c.get(key), "v")


@suite.check
def long_values_are_compressed_and_come_back(target):
    c, key = client(target), target.key()
    value = "abc" * 300000
    true(c.set(key, value, min_compress_len=100))
    equal(c.get(key), value)


@suite.check
def big_value_survives(target):
    c, key = client(target), target.key()
    value = b"\xff\x00\r\n" * 250000
    true(c.set(key, value))
    equal(c.get(key), value)


@suite.check
def value_over_the_server_s_limit_is_refused(target):
    c, key = client(target, server_max_value_length=0), target.key()
    true(c.set(key, b"old"))
    true(not c.set(key, b"x" * ((1 << 20) + 1)))
    equal(c.get(key), None)
    true(c.set(key, b"new"))
    equal(c.get(key), b"new")


@suite.check
def add_and_replace_ask_first(target):
    c, key = client(target), target.key()
    true(not c.replace(key, "0"))
    true(c.add(key, "1"))
    true(not c.add(key, "2"))
    true(c.replace(key, "3"))
    equal(c.get(key), "3")


@suite.check
def append_and_prepend_extend(target):
    c, key = client(target), target.key()
    true(not c.append(key, "x"))
    c.set(key, "b")
    true(c.append(key, "c"))
    true(c.prepend(key, "a"))
    equal(c.get(key), "abc")


@suite.check
def cas_refuses_a_changed_item(target):
    one, other, key = client(target, cache_cas=True), client(target), target.key()
    one.set(key, "1")
    equal(one.gets(key), "1")
    other.set(key, "2")
    true(not one.cas(key, "3"))
    equal(one.gets(key), "2")
    true(one.cas(key, "3"))
    equal(other.get(key), "3")


@suite.check
def counters_count(target):
    c, key = client(target), target.key()
    equal(c.incr(key), None)
    equal(c.decr(key), None)
    c.set(key, 10)
    equal(c.incr(key), 11)
    equal(c.incr(key, 9), 20)
    equal(c.decr(key), 19)
    equal(c.decr(key, 100), 0)
    equal(c.get(key), 0)


@suite.check
def many_keys_at_once(target):
    c, prefix = client(target), target.key("p")
    values = {f"m{i}": i for i in range(300)}
    equal(c.set_multi(values, key_prefix=prefix), [])
    equal(c.get_multi(list(values) + ["absent"], key_prefix=prefix), values)
    equal(c.delete_multi(list(values), key_prefix=prefix), 1)
    equal(c.get_multi(list(values), key_prefix=prefix), {})


@suite.check
def delete_removes(target):
    c, key = client(target), target.key()
    c.set(key, "v")
    true(c.delete(key))
    equal(c.get(key), None)
    true(c.delete(key))  # python-memcached takes NOT_FOUND for success


@suite.check
def expiry_and_touch(target):
    c, short, kept = client(target), target.key(), target.key()
    c.set(short, "v", time=BRIEF_S)
    c.set(kept, "v", time=BRIEF_S)
    true(c.touch(kept, 100))
    true(not c.touch(target.key(), 100))
    time.sleep(UNTIL_GONE_S)
    equal(c.get(short), None)
    equal(c.get(kept), "v")


@suite.check
def noreply_commands_are_done(target):
    c, key = client(target), target.key()
    c.set(key, 5, noreply=True)
    c.incr(key, noreply=True)
    c.decr(key, 2, noreply=True)
    c.touch(key, 100, noreply=True)
    equal(c.get(key), 4)
    c.append(key, "2", noreply=True)
    c.prepend(key, "1", noreply=True)
    equal(c.get(key), 142)
    c.add(key, 0, noreply=True)
    c.replace(key, 8, noreply=True)
    equal(c.get(key), 8)
    c.delete(key, noreply=True)
    equal(c.get(key), None)


@suite.check
def bad_keys_are_refused_before_they_are_sent(target):
    c = client(target)
    raises(memcache.Client.MemcachedKeyLengthError, c.set, "k" * 251, "v")
    raises(memcache.Client.MemcachedKeyCharacterError, c.set, "with space", "v")


@suite.check
def stats_of_every_group(target):
    c, key = client(target), target.key()
    c.set(key, "v")
    c.get(key)
    (server, general), = c.get_stats()
    true(target.address in server)
    true(int(general["get_hits"]) >= 1)
    (_, settings), = c.get_stats("settings")
    true("maxconns" in settings)
    (_, items), = c.get_stats("items")
    true(any(name.endswith(":number") for name in items))
    (_, slabs), = c.get_stats("slabs")
    true(slabs)


@suite.check
def flush_all_empties(target):
    c, key = client(target), target.key()
    c.set(key, "v")
    c.flush_all()
    equal(c.get(key), None)
    true(c.set(key, "new"))
    equal(c.get(key), "new")
