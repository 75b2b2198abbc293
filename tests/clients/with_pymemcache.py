"""pymemcache: its Client, PooledClient and HashClient through their whole interface."""
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from pymemcache import serde
from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import (MemcacheClientError, MemcacheIllegalInputError, MemcacheServerError,
                                   MemcacheUnknownCommandError, MemcacheUnknownError)

from harness import BRIEF_S, UNTIL_GONE_S, Suite, equal, raises, true

suite = Suite("pymemcache")
MIB = 1 << 20


def client(target, **options):
    return Client((target.host, target.port), timeout=5, connect_timeout=5, default_noreply=False, **options)


@suite.check
def set_then_get_returns_the_bytes(target):
    c, key = client(target), target.key()
    true(c.set(key, b"value"))
    equal(c.get(key), b"value")


@suite.check
def get_of_an_absent_key_returns_the_default(target):
    equal(client(target).get(target.key(), default="none"), "none")


@suite.check
def empty_value_is_stored(target):
    c, key = client(target), target.key()
    true(c.set(key, b""))
    equal(c.get(key), b"")


@suite.check
def every_byte_value_survives(target):
    c, key = client(target), target.key()
    data = bytes(range(256)) * 3 + b"\r\nEND\r\nVALUE x 0 1\r\n"
    c.set(key, data)
    equal(c.get(key), data)


@suite.check
def unicode_keys_and_values_survive(target):
    c = client(target, allow_unicode_keys=True, encoding="utf-8")
    key = target.key("schlüssel-鍵-🔑")
    c.set(key, "grüße 世界")
    equal(c.get(key), "grüße 世界".encode())
    equal(c.get_many([key]), {key: "grüße 世界".encode()})


@suite.check
def unicode_key_is_refused_where_not_allowed(target):
    raises(MemcacheIllegalInputError, client(target).get, "鍵")


@suite.check
def longest_key_is_stored_and_a_longer_one_refused(target):
    c = client(target)
    key = target.key().ljust(250, "k")
    c.set(key, b"v")
    equal(c.get(key), b"v")
    raises(MemcacheIllegalInputError, c.get, key + "k")


@suite.check
def value_just_under_the_limit_survives(target):
    c, key = client(target), target.key()
    data = bytes(i & 255 for i in range(1000)) * 1047
    true(c.set(key, data))
    equal(c.get(key), data)


@suite.check
def value_over_the_limit_is_refused_and_the_connection_lives(target):
    c, key = client(target), target.key()
    c.set(key, b"old")
    raises(MemcacheServerError, c.set, key, b"x" * (MIB + 1))
    c.set(target.key(), b"after")
    equal(c.get(key), None)


@suite.check
def values_of_many_sizes_survive(target):
    c, key = client(target), target.key()
    for size in (1, 7, 8, 63, 64, 65, 1023, 2048, 4095, 16383, 16384, 16385, 65535, 65536, 262144, 700001):
        data = (b"%d-" % size * (size // 2 + 1))[:size]
        c.set(key, data)
        equal(c.get(key), data)


@suite.check
def flags_come_back_with_the_value(target):
    c, key = client(target), target.key()
    c.set(key, b"x", flags=4294967295)
    with socket.create_connection((target.host, target.port), 5) as raw:
        raw.sendall(f"get {key}\r\n".encode())
        equal(raw.makefile("rb").readline(), f"VALUE {key} 4294967295 1\r\n".encode())


@suite.check
def serde_pickles_objects(target):
    c, key = client(target, serde=serde.pickle_serde), target.key()
    for value in ({"a": [1, 2.5, None]}, 12345678901234567890, "text", b"bytes", True):
        c.set(key, value)
        equal(c.get(key), value)


@suite.check
def custom_serializer_round_trips(target):
    c = client(target, serializer=lambda _, v: (json.dumps(v).encode(), 77), deserializer=lambda _, v, f: (json.loads(v), f))
    key = target.key()
    c.set(key, {"n": 1})
    equal(c.get(key), ({"n": 1}, 77))


@suite.check
def key_prefix_is_added_and_removed(target):
    key, prefix = target.key(), target.key("prefix") + ":"
    c = client(target, key_prefix=prefix.encode())
    c.set(key, b"v")
    equal(c.get_many([key]), {key: b"v"})
    equal(client(target).get(prefix + key), b"v")


@suite.check
def add_stores_only_where_nothing_is(target):
    c, key = client(target), target.key()
    equal(c.add(key, b"1"), True)
    equal(c.add(key, b"2"), False)
    equal(c.get(key), b"1")


@suite.check
def replace_stores_only_where_something_is(target):
    c, key = client(target), target.key()
    equal(c.replace(key, b"1"), False)
    c.set(key, b"1")
    equal(c.replace(key, b"2"), True)
    equal(c.get(key), b"2")


@suite.check
def append_and_prepend_extend_what_is_there(target):
    c, key = client(target), target.key()
    equal(c.append(key, b"x"), False)
    equal(c.prepend(key, b"x"), False)
    c.set(key, b"b")
    equal(c.append(key, b"c"), True)
    equal(c.prepend(key, b"a"), True)
    equal(c.get(key), b"abc")


@suite.check
def cas_stores_once_and_tells_changed_from_gone(target):
    c, key = client(target), target.key()
    equal(c.gets(key), (None, None))
    c.set(key, b"1")
    value, token = c.gets(key)
    equal(value, b"1")
    equal(c.cas(key, b"2", token), True)
    equal(c.cas(key, b"3", token), False)
    equal(c.cas(target.key(), b"3", token), None)
    equal(c.get(key), b"2")


@suite.check
def cas_token_changes_with_every_write(target):
    c, key = client(target), target.key()
    seen = set()
    for write in (lambda: c.set(key, b"1"), lambda: c.append(key, b"2"), lambda: c.incr(key, 1), lambda: c.replace(key, b"9")):
        write()
        seen.add(c.gets(key)[1])
    equal(len(seen), 4)


@suite.check
def many_keys_at_once(target):
    c = client(target)
    values = {target.key(): b"%d" % i for i in range(500)}
    equal(c.set_many(values), [])
    absent = [target.key() for _ in range(100)]
    equal(c.get_many(list(values) + absent), values)
    equal(c.get_multi([]), {})
    tokens = c.gets_many(list(values))
    equal({k: v for k, (v, _) in tokens.items()}, values)
    equal(len({t for _, t in tokens.values()}), 500)
    true(c.delete_many(list(values)))
    equal(c.get_many(list(values)), {})


@suite.check
def same_key_twice_in_one_get(target):
    c, key = client(target), target.key()
    c.set(key, b"v")
    equal(c.get_many([key, key]), {key: b"v"})


@suite.check
def delete_tells_whether_it_was_there(target):
    c, key = client(target), target.key()
    c.set(key, b"v")
    equal(c.delete(key), True)
    equal(c.delete(key), False)
    equal(c.get(key), None)


@suite.check
def incr_and_decr_count(target):
    c, key = client(target), target.key()
    equal(c.incr(key, 1), None)
    equal(c.decr(key, 1), None)
    c.set(key, b"10")
    equal(c.incr(key, 5), 15)
    equal(c.decr(key, 6), 9)
    equal(c.decr(key, 100), 0)


@suite.check
def incr_wraps_at_two_to_the_64(target):
    c, key = client(target), target.key()
    c.set(key, b"18446744073709551615")
    equal(c.incr(key, 1), 0)


@suite.check
def decr_keeps_the_length_with_spaces(target):
    c, key = client(target), target.key()
    c.set(key, b"100")
    equal(c.decr(key, 1), 99)
    equal(c.get(key), b"99 ")


@suite.check
def incr_of_text_is_a_client_error(target):
    c, key = client(target), target.key()
    c.set(key, b"text")
    raises(MemcacheClientError, c.incr, key, 1)
    equal(c.get(key), b"text")


@suite.check
def expiry_is_kept_to_the_second(target):
    c, key, other = client(target), target.key(), target.key()
    c.set(key, b"v", expire=BRIEF_S)
    c.set(other, b"v", expire=100)
    equal(c.get(key), b"v")
    time.sleep(UNTIL_GONE_S)
    equal(c.get(key), None)
    equal(c.get(other), b"v")


@suite.check
def negative_and_absolute_expiries(target):
    c, key = client(target), target.key()
    c.set(key, b"v", expire=-1)
    equal(c.get(key), None)
    c.set(key, b"v", expire=int(time.time()) + 1000)
    equal(c.get(key), b"v")
    c.set(key, b"v", expire=int(time.time()) - 1000)
    equal(c.get(key), None)


@suite.check
def touch_changes_the_expiry(target):
    c, key = client(target), target.key()
    equal(c.touch(key, 100), False)
    c.set(key, b"v", expire=100)
    equal(c.touch(key, 1), True)
    time.sleep(2.1)
    equal(c.get(key), None)


@suite.check
def noreply_commands_are_done_and_say_nothing(target):
    c, key, number = client(target), target.key(), target.key()
    c.set(key, b"b", noreply=True)
    c.add(key, b"no", noreply=True)
    c.append(key, b"c", noreply=True)
    c.prepend(key, b"a", noreply=True)
    c.set(number, b"5", noreply=True)
    c.incr(number, 2, noreply=True)
    c.decr(number, 1, noreply=True)
    c.touch(key, 100, noreply=True)
    equal(c.get_many([key, number]), {key: b"abc", number: b"6"})
    c.replace(key, b"new", noreply=True)
    token = c.gets(key)[1]
    c.cas(key, b"newer", token, noreply=True)
    equal(c.get(key), b"newer")
    c.delete(key, noreply=True)
    c.delete_many([number], noreply=True)
    equal(c.get_many([key, number]), {})


@suite.check
def ten_thousand_noreply_sets_then_one_get(target):
    c = client(target)
    keys = [target.key("n") for _ in range(10000)]
    c.set_many({key: key.encode() for key in keys}, noreply=True)
    equal(c.get(keys[-1]), keys[-1].encode())
    equal(len(c.get_many(keys)), 10000)


@suite.check
def stats_name_the_figures_that_tools_read(target):
    got = client(target).stats()
    for name in (b"pid", b"uptime", b"version", b"curr_connections", b"cmd_get", b"cmd_set", b"get_hits", b"get_misses",
                 b"bytes", b"curr_items", b"total_items", b"evictions", b"limit_maxbytes", b"threads"):
        true(name in got)
    true(isinstance(got[b"curr_items"], int))


@suite.check
def stats_groups_answer(target):
    c = client(target)
    c.set(target.key(), b"v")
    settings = c.stats("settings")
    true(settings[b"maxbytes"] >= 1 << 20)
    true(any(name.startswith(b"items:") for name in c.stats("items")))
    true(b"total_malloced" in c.stats("slabs"))
    # pymemcache knows no reply to `stats reset` and raises it
    equal(raises(MemcacheUnknownError, c.stats, "reset").args, (b"RESET",))


@suite.check
def cache_memlimit_is_accepted(target):
    true(client(target).cache_memlimit(128))
    true(client(target).cache_memlimit(64))


@suite.check
def version_begins_with_memcached_s(target):
    true(client(target).version().startswith(b"1.6."))


@suite.check
def quit_closes_and_the_client_reconnects(target):
    c, key = client(target), target.key()
    c.set(key, b"v")
    c.quit()
    equal(c.get(key), b"v")


@suite.check
def unknown_commands_are_errors(target):
    raises(MemcacheUnknownCommandError, client(target)._misc_cmd, [b"nonsense\r\n"], b"nonsense", False)


@suite.check
def pooled_client_works_from_threads(target):
    pool = PooledClient((target.host, target.port), max_pool_size=8, timeout=5, default_noreply=False)

    def work(word):
        for key in [target.key(word) for _ in range(200)]:
            pool.set(key, key)
            equal(pool.get(key), key.encode())

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, "abcdefgh"))


@suite.check
def hash_client_spreads_and_collects(target):
    c = HashClient([(target.host, target.port)], use_pooling=True, timeout=5, default_noreply=False)
    values = {target.key(): b"%d" % i for i in range(50)}
    equal(c.set_many(values), [])
    equal(c.get_many(list(values)), values)
    true(all(c.delete(key) for key in values))


@suite.check
def flush_all_with_a_delay_then_at_once(target):
    c, key = client(target), target.key()
    c.set(key, b"v")
    true(c.flush_all(delay=100))
    equal(c.get(key), b"v")
    true(c.flush_all())
    equal(c.get(key), None)
    c.set(key, b"new")
    equal(c.get(key), b"new")
