#!/usr/bin/python3
"""A look-aside cache in front of a slow query.

Each request asks the cache first; on a miss it computes the answer (1 ms, as a small database query takes) and leaves
it in the cache for the next one. Ten runs of 2,000 requests over 5,001 keys: what the runs before have asked for is there
already, so each run is faster than the one before.

Needs python3-pymemcache. usage: lookaside.py [HOST [PORT]]
"""
import random
import sys
import time

from pymemcache.client.base import Client

RUNS, REQUESTS, KEYS = 10, 2000, 5001


def slow_query(number):
    """What the cache saves: a millisecond of somebody's time."""
    time.sleep(0.001)
    return f"the answer to {number}".encode()


def answer(cache, number):
    """(the answer, whether it was in the cache)"""
    key = f"answer:{number}"
    found = cache.get(key)
    if found is not None:
        return found, True
    fresh = slow_query(number)
    cache.set(key, fresh, expire=600)
    return fresh, False


def main():
    host = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 11211
    cache = Client((host, port), no_delay=True, timeout=5)
    chance = random.Random(1)
    first = None
    for run in range(1, RUNS + 1):
        start, hits = time.monotonic(), 0
        for _ in range(REQUESTS):
            number = chance.randrange(KEYS)
            text, hit = answer(cache, number)
            assert text.endswith(b" %d" % number)
            hits += hit
        seconds = time.monotonic() - start
        first = first or seconds
        print(f"run {run:2}: {seconds:5.2f} s, {seconds / first * 100:3.0f} % of the first; hit ratio {hits / REQUESTS:.2f}")


if __name__ == "__main__":
    main()
