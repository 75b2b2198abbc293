"""pylibmc: libmemcached from Python, in the text protocol or, in the matrix, in the binary one."""
import time

import pylibmc

from harness import BRIEF_S, UNTIL_GONE_S, Suite, equal, raises, true

suite = Suite("pylibmc")


def client(target, **behaviors):
    return pylibmc.Client([target.address], binary=target.protocol == "binary",
                          behaviors={"tcp_nodelay": True, "receive_timeout": 2000000, "send_timeout": 2000000,
                                     **behaviors})


@suite.check
def objects_round_trip(target):
    c, key = client(target), target.key()
    for value in ("text", "grüße 世界", b"bytes\r\n\0", 42, 1 << 70, True, False, 1.5, {"a": [1, (2, 3)]}, ""):
        true(c.set(key, value))
        equal(c.get(key), value)


@suite.check
def absent_key_gives_the_default(target):
    equal(client(target).get(target.key(), "none"), "none")


@suite.check
def unicode_and_longest_keys(target):
    c = client(target)
    for key in (target.key("ключ-鍵"), target.key().ljust(250, "k")):
        true(c.set(key, "v"))
        equal(c.get(key), "v")
    raises(ValueError, c.set, "k" * 251, "v")


@suite.check
def compressed_values_come_back(target):
    c, key = client(target), target.key()
    value = b"abc" * 500000
    true(c.set(key, value, min_compress_len=1000, compress_level=6))
    equal(c.get(key), value)


@suite.check
def values_of_many_sizes(target):
    c, key = client(target), target.key()
    for size in (1, 100, 4096, 16384, 16385, 100000, 1000000):
        value = bytes(i % 251 for i in range(1000)) * (size // 1000 + 1)
        true(c.set(key, value[:size]))
        equal(c.get(key), value[:size])


@suite.check
def value_over_the_limit_is_refused(target):
    c, key = client(target), target.key()
    c.set(key, "old")
    raises(pylibmc.Error, c.set, key, b"x" * ((1 << 20) + 1))
    equal(client(target).get(key), None)


@suite.check
def add_and_replace_ask_first(target):
    c, key = client(target), target.key()
    if target.protocol == "binary":
        raises(pylibmc.NotFound, c.replace, key, 0)
    else:
        true(not c.replace(key, 0))
    true(c.add(key, 1))
    true(not c.add(key, 2))
    true(c.replace(key, 3))
    equal(c.get(key), 3)


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
    c, key = client(target, cas=True), target.key()
    equal(c.gets(key), (None, None))
    c.set(key, 1)
    value, token = c.gets(key)
    equal(value, 1)
    true(c.cas(key, 2, token))
    true(not c.cas(key, 3, token))
    raises(pylibmc.NotFound, c.cas, target.key(), 3, token)
    equal(c.get(key), 2)


@suite.check
def counters_count(target):
    c, key = client(target), target.key()
    raises(pylibmc.NotFound, c.incr, key)
    c.set(key, 10)
    equal(c.incr(key), 11)
    equal(c.incr(key, 9), 20)
    equal(c.decr(key), 19)
    equal(c.decr(key, 100), 0)


@suite.check
def incr_multi_counts_every_key(target):
    c, prefix = client(target), target.key("p")
    c.set_multi({"a": 1, "b": 2}, key_prefix=prefix)
    c.incr_multi(["a", "b"], key_prefix=prefix, delta=5)
    equal(c.get_multi(["a", "b"], key_prefix=prefix), {"a": 6, "b": 7})


@suite.check
def many_keys_at_once(target):
    c, prefix = client(target), target.key("p")
    values = {f"m{i}": i for i in range(1000)}
    equal(c.set_multi(values, key_prefix=prefix), [])
    equal(c.get_multi(list(values) + ["absent"], key_prefix=prefix), values)
    equal(sorted(c.add_multi({"m1": 0, "new": 1}, key_prefix=prefix)), ["m1"])
    true(c.delete_multi(list(values), key_prefix=prefix))
    equal(c.get_multi(list(values), key_prefix=prefix), {})


@suite.check
def delete_tells_whether_it_was_there(target):
    c, key = client(target), target.key()
    c.set(key, "v")
    true(c.delete(key))
    true(not c.delete(key))


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
def noreply_behaviour_stores(target):
    c, key = client(target, _noreply=True), target.key()
    c.set(key, "v")
    deadline = time.monotonic() + 5
    while client(target).get(key) != "v" and time.monotonic() < deadline:
        time.sleep(0.01)
    equal(client(target).get(key), "v")


@suite.check
def buffered_requests_arrive(target):
    c = client(target, buffer_requests=True)
    keys = [target.key() for _ in range(200)]
    for key in keys:
        try:
            c.set(key, key)
        except pylibmc.Error as error:
            true("error 32" in str(error))  # MEMCACHED_BUFFERED: this pylibmc takes it for a failure
    equal(c.get_multi(keys), {key: key for key in keys})


@suite.check
def no_block_client_works(target):
    c, key = client(target, no_block=True), target.key()
    c.set(key, "v")
    equal(c.get(key), "v")


@suite.check
def stats_of_every_group(target):
    c = client(target)
    c.set(target.key(), "v")
    for group in ("", "settings", "items", "slabs"):
        (_, got), = c.get_stats(group) if group else c.get_stats()
        true(len(got) > 0)


@suite.check
def clone_and_pool_work(target):
    c, key = client(target), target.key()
    pool = pylibmc.ClientPool(c, 4)
    with pool.reserve() as one:
        one.set(key, "v")
    with pool.reserve() as another:
        equal(another.get(key), "v")
    equal(c.clone().get(key), "v")


@suite.check
def flush_all_empties(target):
    c, key = client(target), target.key()
    c.set(key, "v")
    true(c.flush_all())
    equal(c.get(key), None)
    c.disconnect_all()
    true(c.set(key, "new"))
    equal(c.get(key), "new")
