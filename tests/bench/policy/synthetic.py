"""Streams of requests whose pattern is known, beside the real traces: what a policy should not be surprised by.

    synthetic.py KIND [--objects N] [--count N] [--alpha A] --out FILE

    zipf        popularity by Zipf's law, never changing
    zipf-scan   the same; a quarter of the requests are long scans over objects that never come again
    zipf-shift  the same as zipf; the popular objects are other ones from time to time, a tenth of them at once
    loop        all objects in turn, again and again: LRU's worst case
Sizes as in stream.py. The numbers drawn depend on the arguments alone.
"""
import argparse
import bisect
import itertools
import random
import sys

import stream

SCAN_LENGTH = 20000
SCAN_EVERY = 4 * SCAN_LENGTH
SHIFTS = 20  # in a whole stream


def zipf(objects, alpha, chance):
    """Draws ranks from 0 on."""
    shares = list(itertools.accumulate((rank + 1) ** -alpha for rank in range(objects)))
    while True:
        yield bisect.bisect_left(shares, chance.random() * shares[-1])


def zipf_scan(objects, alpha, chance):
    ranks = zipf(objects, alpha, chance)
    fresh = itertools.count(objects)
    while True:
        yield from itertools.islice(ranks, SCAN_EVERY - SCAN_LENGTH)
        yield from itertools.islice(fresh, SCAN_LENGTH)


def zipf_shift(objects, alpha, chance, count):
    ranks = zipf(objects, alpha, chance)
    number = list(range(objects))
    while True:
        yield from (number[rank] for rank in itertools.islice(ranks, count // SHIFTS))
        moved = [chance.randrange(objects) for _ in range(objects // 10)]
        for rank, other in enumerate(moved):
            number[rank], number[other] = number[other], number[rank]


def numbers_of(options):
    chance = random.Random(1)
    if options.kind == "zipf":
        return zipf(options.objects, options.alpha, chance)
    if options.kind == "zipf-scan":
        return zipf_scan(options.objects, options.alpha, chance)
    if options.kind == "zipf-shift":
        return zipf_shift(options.objects, options.alpha, chance, options.count)
    return itertools.cycle(range(options.objects))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kind", choices=("zipf", "zipf-scan", "zipf-shift", "loop"))
    parser.add_argument("--objects", type=int, default=400000)
    parser.add_argument("--count", type=int, default=3000000)
    parser.add_argument("--alpha", type=float, default=0.9)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    with stream.Writer(options.out) as writer:
        for number in itertools.islice(numbers_of(options), options.count):
            key = stream.mix(number)
            writer.write(stream.record(key, stream.value_size_of(key)))
        print("%s: %d requests" % (options.out, writer.count))
    return 0


if __name__ == "__main__":
    sys.exit(main())
