"""Streams with times to live that have the published statistics of Twitter's cache clusters.

    profiles.py CLUSTER [--seconds S] [--events N] [--seed N] --out FILE      one of 6, 7, 18, 19, 26, 29

Source: the table stat/2020Mar.md of github.com/twitter/cache-trace (Yang, Yue, Rashmi, OSDI'20). Each figure of a row
is used as follows.

    key, value    Every key has the row's key size. Value sizes have the shape of Meta's kvcache_reg, cut at 16 times its
                  mean and scaled to the row's mean.
    one-hit       this share of the objects is asked for once.
    alpha         the others' numbers of requests F follow a Pareto law of index 1 / alpha, from 2 up to what gives the
                  mean that "compulsory" asks for: rank and frequency then follow Zipf's law of exponent alpha.
    compulsory    the share of requests that are an object's first: the mean of F is its inverse. Objects are born at
                  random all the time, so there is always traffic that no cache can hit.
    working sets  with and without times to live. Their ratio, with the miss ratio, gives the length of the trace that
                  the row describes, which bounds the life of an object.
    miss ratio    (of production) An object lives for g times the root of F, and its requests come at random in that
                  time. g is chosen such that a cache of unlimited memory, with expiry, misses as often as production did.
    TTL           each key has one, drawn from the mix; the share that the row leaves out is spread evenly between the
                  smallest and the largest, stretched by a tenth.
    operations    sets that look-aside misses do not explain (set + cas - get x miss ratio) are sets of the stream.

Two things are not as in production. Requests of one object beyond 12 in a mean TTL are left out, since they are hits in
any cache: absolute miss ratios are higher for it, ratios between caches are the same. And the number of objects is scaled
such that --seconds of the clock (8 mean TTLs) hold --events requests; the bytes alive at a time follow from that. Times in the stream are those of the trace; the
last line printed names the --speed at which wire replays it in --seconds, and the bytes that are alive at a time.
"""
import argparse
import array
import bisect
import collections
import json
import math
import random
import sys

import stream

Row = collections.namedtuple("Row", "key value get update ttls alpha one_hit compulsory miss wss wss_ttl")
HOUR = 3600
ROWS = {
    6: Row(44, 252, 0.98, 0.02, ((520, 0.03), (510, 0.03), (490, 0.03)), 1.882, 0.0063, 0.0031, 0.0268, 4807, 128),
    7: Row(17, 1936, 0.82, 0.18, ((1.8 * HOUR, 0.28), (1.7 * HOUR, 0.24), (1.9 * HOUR, 0.23)),
           1.0666, 0.0001, 0.0137, 0.2004, 7574, 85),
    18: Row(18, 37, 0.97, 0.01, ((12 * HOUR, 1.0),), 2.0994, 0.0071, 0.0015, 0.002, 311, 41),
    19: Row(42, 101, 0.75, 0.25, ((7.5 * HOUR, 0.08), (7.4 * HOUR, 0.07), (6.6 * HOUR, 0.07)),
            0.735, 0.0746, 0.212, 0.4549, 14633, 3448),
    26: Row(122, 1745, 0.71, 0.29, ((60, 0.67), (120, 0.10), (360, 0.09)), 0.6299, 0.0011, 0.0772, 0.4469, 3317, 30),
    29: Row(36, 799, 0.86, 0.13, ((HOUR, 0.67), (2 * HOUR, 0.33)), 1.2323, 0.2304, 0.0445, 0.2242, 40520, 891),
}
MEAN_TTLS = 8            # the length of a stream
RATE_MAX = 12            # requests of an object in a mean TTL
FREQUENCY_MAX = 1e6      # requests of an object in all
QUANTILES = 4096         # the law of F as a table
SLOTS = 1 << 15          # the stream's time, cut
TTL_MIN_CLOCK_S = 5      # servers count in seconds
CUT = 16 * 335           # of kvcache_reg


def truncated_pareto_mean(index, low, high):
    """Mean of the Pareto law of that index between low and high."""
    scale = index * low ** index / (1 - (low / high) ** index)
    if abs(index - 1) < 1e-9:
        return scale * math.log(high / low)
    return scale * (high ** (1 - index) - low ** (1 - index)) / (1 - index)


def bisected(function, low, high):
    """Where the rising function crosses zero, searched on a logarithmic scale."""
    for _ in range(100):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if function(middle) > 0 else (middle, high)
    return low


def frequencies(row):
    """QUANTILES numbers of requests, equally likely: the law of F."""
    mean, index, low = (1 / row.compulsory - row.one_hit) / (1 - row.one_hit), 1 / row.alpha, 2
    if truncated_pareto_mean(index, low, FREQUENCY_MAX) < mean:
        high = FREQUENCY_MAX
        low = bisected(lambda x: truncated_pareto_mean(index, x, high) - mean, 2, high / 2)
    else:
        high = bisected(lambda x: truncated_pareto_mean(index, low, x) - mean, low * 1.001, FREQUENCY_MAX)
    once = round(row.one_hit * QUANTILES)
    rest = QUANTILES - once
    span = 1 - (low / high) ** index
    return [1.0] * once + [low * (1 - (i + 0.5) / rest * span) ** (-1 / index) for i in range(rest)]


def life(row, g, frequency):
    """How long an object is asked for, in mean TTLs."""
    trace_length = row.wss / row.wss_ttl * row.miss / row.compulsory
    return 0 if frequency <= 1 else min(g * math.sqrt(frequency), trace_length)


def unlimited_miss_ratio(row, law, g):
    """Of a cache that forgets only what expired, in the approximation that every TTL is the mean one."""
    misses = 0
    for frequency in law:
        length = life(row, g, frequency)
        misses += 1 + max(0, length - 1) / (1 + length / max(1, frequency - 1))
    return misses / sum(law)


class TtlMix:
    """Draws times to live, in seconds of the trace, by a key's hash."""

    def __init__(self, row):
        self.ttls = row.ttls
        self.low, self.high = min(row.ttls)[0] * 0.9, max(row.ttls)[0] * 1.1
        named = sum(share for _, share in row.ttls)
        self.mean = sum(ttl * share for ttl, share in row.ttls) + (1 - named) * (self.low + self.high) / 2
        if named > 0.99:
            self.low = min(row.ttls)[0]

    def of(self, key):
        place = stream.mix(key ^ 0x77) / 2 ** 64
        for ttl, share in self.ttls:
            if place < share:
                return int(ttl)
            place -= share
        return int(self.low + stream.mix(key ^ 0x99) / 2 ** 64 * (self.high - self.low))


class Objects:
    """Objects that come and go, and their requests by slot of time."""

    def __init__(self, row, seed):
        self.row, self.random = row, random.Random(seed)
        self.law = frequencies(row)
        self.g = bisected(lambda g: unlimited_miss_ratio(row, self.law, g) - row.miss, 1e-4, 1e4)
        self.lives = [life(row, self.g, frequency) for frequency in self.law]
        self.rates = [min(RATE_MAX, (frequency - 1) / length) if length else 0
                      for frequency, length in zip(self.law, self.lives)]
        self.slots = [array.array("L") for _ in range(SLOTS)]
        self.count = 0

    def events_per_birth(self):
        """Requests in a mean TTL, for one birth in a mean TTL."""
        return 1 + sum(rate * length for rate, length in zip(self.rates, self.lives)) / QUANTILES

    def fill(self, births):
        """`births` objects in a mean TTL, and those alive at the start."""
        longest = list(self._sums(self.lives))
        for _ in range(round(births * longest[-1] / QUANTILES)):
            kind = bisect.bisect(longest, self.random.random() * longest[-1])
            kind = min(kind, QUANTILES - 1)
            self._request(0, self.random.random() * self.lives[kind], self.rates[kind])
        for _ in range(round(births * MEAN_TTLS)):
            kind = self.random.randrange(QUANTILES)
            born = self.random.random() * MEAN_TTLS
            self._note(born)
            self._request(born, born + self.lives[kind], self.rates[kind])

    @staticmethod
    def _sums(values):
        total = 0
        for value in values:
            total += value
            yield total

    def _note(self, time):
        self.slots[int(time * SLOTS / MEAN_TTLS)].append(self.count)

    def _request(self, time, end, rate):
        """One object's requests until it dies."""
        end = min(end, MEAN_TTLS)
        while rate:
            time += self.random.expovariate(rate)
            if time >= end:
                break
            self._note(time)
        self.count += 1


class Expiry:
    """A cache of unlimited memory: its misses, and the bytes that are alive in it."""

    def __init__(self):
        self.until, self.misses, self.gets, self.live_ms_bytes = {}, 0, 0, 0

    def request(self, key, size, ttl_s, now_ms, is_set):
        end = self.until.get(key, 0)
        missed = end <= now_ms
        self.gets += not is_set
        self.misses += missed and not is_set
        if missed or is_set:
            self.live_ms_bytes += (now_ms + ttl_s * 1000 - max(end, now_ms)) * size
            self.until[key] = now_ms + ttl_s * 1000


def value_size(key, mean):
    return max(1, round(min(stream.value_size_of(key), CUT) * mean / capped_mean()))


def capped_mean(known=[]):
    if not known:
        bounds = [0] + [bound for _, bound in stream.KVCACHE_REG]
        known.append(sum(min(size, CUT) * (bound - before) for (size, bound), before
                         in zip(stream.KVCACHE_REG, bounds)) / bounds[-1])
    return known[0]


def write(row, objects, mix, cluster, path):
    """The slots as records. Returns what a cache of unlimited memory would make of the last three quarters."""
    update = max(0, row.update - row.get * row.miss)
    facts, expiry = {}, Expiry()
    slot_ms = MEAN_TTLS * mix.mean * 1000 / SLOTS
    with stream.Writer(path, row.key) as writer:
        for at, slot in enumerate(objects.slots):
            now_ms = int(at * slot_ms)
            if at == SLOTS // 4:
                expiry.misses = expiry.gets = expiry.live_ms_bytes = 0
            for number in slot:
                fact = facts.get(number)
                if fact is None:
                    key = stream.mix(cluster << 40 | number)
                    fact = facts[number] = (key, value_size(key, row.value), mix.of(key))
                key, size, ttl_s = fact
                is_set = objects.random.random() < update
                expiry.request(key, row.key + size, ttl_s, now_ms, is_set)
                writer.write(stream.record(key, size, ttl_s, now_ms, stream.SET if is_set else stream.GET))
        return {"requests": writer.count, "objects": len(facts), "unlimited_miss_ratio": expiry.misses / expiry.gets,
                "live_mib": expiry.live_ms_bytes / (slot_ms * SLOTS * 3 / 4) / 2 ** 20}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cluster", type=int, choices=sorted(ROWS))
    parser.add_argument("--seconds", type=float, default=72, help="of the clock, for the replay")
    parser.add_argument("--events", type=int, default=8000000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    row = ROWS[options.cluster]
    mix, objects = TtlMix(row), Objects(row, options.seed)
    speed = MEAN_TTLS * mix.mean / options.seconds
    if min(row.ttls)[0] / speed < TTL_MIN_CLOCK_S:
        parser.error("times to live would be below %d s of the clock: --seconds %d or more"
                     % (TTL_MIN_CLOCK_S, math.ceil(options.seconds * TTL_MIN_CLOCK_S * speed / min(row.ttls)[0])))
    births = options.events / MEAN_TTLS / objects.events_per_birth()
    objects.fill(births)
    result = write(row, objects, mix, options.cluster, options.out)
    print(json.dumps({"cluster": options.cluster, "speed": round(speed, 4), **result}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
