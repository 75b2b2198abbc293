"""Django's cache backends, through Django's own cache interface, over the three servers.

Each backend stands on another client: PyMemcacheCache, PyLibMCCache (in the protocol asked for) and the deprecated
MemcachedCache on python-memcached.
"""
import time
import warnings

warnings.filterwarnings("ignore")

import django
from django.conf import settings
from django.core.cache import InvalidCacheKey, caches

from harness import BRIEF_S, UNTIL_GONE_S, Suite, equal, raises, true

pymemcache_suite, pylibmc_suite, memcached_suite = (Suite(f"Django {name}") for name in ("PyMemcacheCache", "PyLibMCCache",
                                                                                         "MemcachedCache"))
BACKENDS = {pymemcache_suite: "PyMemcacheCache", pylibmc_suite: "PyLibMCCache", memcached_suite: "MemcachedCache"}
DAY_S = 24 * 60 * 60


def options(backend, target):
    if backend == "PyLibMCCache":
        return {"binary": target.protocol == "binary", "behaviors": {"ketama": True, "receive_timeout": 2000000}}
    return {}


def configure(backend, target):
    """Django's settings can be made once a process; each suite has a process of its own."""
    if settings.configured:
        return
    base = {"BACKEND": f"django.core.cache.backends.memcached.{backend}", "LOCATION": target.servers,
            "OPTIONS": options(backend, target)}
    settings.configure(CACHES={
        "default": base, "prefixed": {**base, "KEY_PREFIX": "p", "VERSION": 3},
        "short": {**base, "TIMEOUT": BRIEF_S}, "one": {**base, "LOCATION": target.address}}, SECRET_KEY="-")
    django.setup()


def check(function):
    """Registers function(cache, target) with every backend's suite."""
    for suite, backend in BACKENDS.items():
        def run(target, backend=backend):
            configure(backend, target)
            function(caches["default"], target)
        run.__name__ = function.__name__
        suite.check(run)
    return function


@check
def set_get_and_default(cache, target):
    key = target.key()
    equal(cache.get(key), None)
    equal(cache.get(key, "none"), "none")
    cache.set(key, "v")
    equal(cache.get(key), "v")


@check
def objects_round_trip(cache, target):
    key = target.key()
    for value in ("text", "grüße 世界", b"bytes\r\n\0", 42, True, 1.5, {"a": [1, (2, 3)]}, ""):
        cache.set(key, value)
        equal(cache.get(key), value)


@check
def unicode_keys(cache, target):
    key = target.key("ключ-鍵")
    cache.set(key, "v")
    equal(cache.get(key), "v")


@check
def add_asks_first(cache, target):
    key = target.key()
    equal(cache.add(key, 1), True)
    equal(cache.add(key, 2), False)
    equal(cache.get(key), 1)


@check
def get_or_set_computes_once(cache, target):
    key = target.key()
    equal(cache.get_or_set(key, lambda: "made"), "made")
    equal(cache.get_or_set(key, lambda: "again"), "made")


@check
def many_at_once(cache, target):
    values = {target.key("m"): i for i in range(200)}
    equal(cache.set_many(values), [])
    equal(cache.get_many([*values, target.key()]), values)
    cache.delete_many(list(values))
    equal(cache.get_many(list(values)), {})


@check
def incr_and_decr(cache, target):
    key = target.key()
    raises(ValueError, cache.incr, key)
    raises(ValueError, cache.decr, key)
    cache.set(key, 41)
    equal((cache.incr(key), cache.incr(key, 10), cache.decr(key), cache.decr(key, 100)), (42, 52, 51, 0))
    cache.set(key, 10)
    equal((cache.incr(key, -3), cache.decr(key, -5)), (7, 12))


@check
def delete_and_has_key(cache, target):
    key = target.key()
    equal(cache.delete(key), False)
    cache.set(key, "v")
    equal((cache.has_key(key), key in cache), (True, True))
    equal(cache.delete(key), True)
    equal(key in cache, False)


@check
def versions_keep_keys_apart(cache, target):
    key = target.key()
    cache.set(key, 1)
    cache.set(key, 2, version=2)
    equal((cache.get(key), cache.get(key, version=2), cache.get(key, version=3)), (1, 2, None))
    cache.incr_version(key, version=2)
    equal((cache.get(key, version=2), cache.get(key, version=3)), (None, 2))
    cache.decr_version(key, version=3)
    equal(cache.get(key, version=2), 2)


@check
def prefix_keeps_caches_apart(cache, target):
    key = target.key()
    caches["prefixed"].set(key, "there")
    equal(cache.get(key), None)
    equal(caches["prefixed"].get(key), "there")


@check
def timeouts_short_and_none(cache, target):
    short, kept = target.key(), target.key()
    cache.set(short, "v", timeout=BRIEF_S)
    cache.set(kept, "v", timeout=None)
    equal((cache.get(short), cache.get(kept)), ("v", "v"))
    time.sleep(UNTIL_GONE_S)
    equal((cache.get(short), cache.get(kept)), (None, "v"))


@check
def timeouts_of_zero_and_below_store_nothing(cache, target):
    zero, negative = target.key(), target.key()
    cache.set(zero, "v", timeout=0)
    cache.set(negative, "v", timeout=-5)
    if target.protocol == "text":  # libmemcached sends 4294967295 for -1, which memcached's binary protocol takes as it is
        equal((cache.get(zero), cache.get(negative)), (None, None))


@check
def timeouts_over_thirty_days_hold(cache, target):
    for days in (29, 30, 31, 400):
        key = target.key()
        cache.set(key, days, timeout=days * DAY_S)
        equal(cache.get(key), days)


@check
def default_timeout_and_touch(cache, target):
    short, kept = target.key(), target.key()
    caches["short"].set_many({short: 1, kept: 1})
    equal(cache.touch(kept, 100), True)
    equal(cache.touch(target.key()), False)
    time.sleep(UNTIL_GONE_S)
    equal((cache.get(short), cache.get(kept)), (None, 1))


@check
def value_over_the_limit_leaves_nothing_old(cache, target):
    key = target.key()
    cache.set(key, "old")
    try:
        cache.set(key, "x" * (2 << 20))
    except Exception as error:  # pylint: disable=broad-except
        true("Error" in type(error).__name__ or "TooBig" in type(error).__name__)
    cache.close()
    equal(cache.get(key), None)


@check
def invalid_keys_are_refused(cache, target):
    raises(InvalidCacheKey, cache.set, "with space", 1)
    raises(InvalidCacheKey, cache.get, "k" * 251)
    cache.set(target.key().ljust(240, "k"), 1)


@check
def close_then_go_on(cache, target):
    key = target.key()
    cache.set(key, "v")
    cache.close()
    equal(cache.get(key), "v")


@check
def one_server_alone(_, target):
    key = target.key()
    caches["one"].set(key, "v")
    equal(caches["one"].get(key), "v")


@check
def clear_empties_every_server(cache, target):
    values = {target.key("m"): i for i in range(60)}
    cache.set_many(values)
    cache.clear()
    equal(cache.get_many(list(values)), {})
