"""The stream of requests that the policy simulator and the replay by wire read; stream.h says what is in it.

A record is 24 bytes, little endian: key u64, value size u32, time to live in seconds u32 (0: none), time since the
start in milliseconds u32, operation u8 (GET, SET, DELETE), three bytes of nothing.
"""
import bisect
import struct

HEADER = struct.Struct("<8sIIQ")  # magic, key size, size of a record, count of records
RECORD = struct.Struct("<QIIIB3x")
MAGIC = b"VITRREQ1"
KEY_SIZE = 30
KEY_SIZE_MIN = 16  # a key's text is its 16 hexadecimal digits behind padding

GET, SET, DELETE = 0, 1, 2  # a GET that misses is followed by a set: look-aside

MASK = (1 << 64) - 1

# Value sizes of Meta's key-value cache: CacheLib's test_configs/consistency and hit-ratio profile "kvcache_reg", sizes.json
# (Apache-2.0), as (size, cumulative share in units of 1e-8). Below 1 KiB as published; above, sizes within a factor of
# 1.3 are one row with their mean, so the mean of all stays at 335 bytes.
KVCACHE_REG = (
    (31, 69611), (63, 75544), (95, 13251437), (127, 37264668), (159, 86408701), (191, 90661779), (223, 92262011),
    (255, 93100735), (287, 93914285), (319, 94620277), (351, 95132303), (383, 95577730), (415, 95816086),
    (447, 96043370), (479, 96237355), (511, 97033782), (543, 97320268), (575, 97527046), (607, 97640541),
    (639, 97780921), (671, 98079378), (703, 98388526), (735, 98556795), (767, 98712323), (799, 98741217),
    (831, 98838436), (863, 98872081), (895, 98932359), (927, 98971126), (959, 99056585), (991, 99094983),
    (1023, 99156982), (1191, 99403267), (1565, 99531606), (2032, 99614780), (2623, 99687657), (3483, 99755858),
    (4441, 99821276), (5726, 99853506), (7676, 99873271), (9937, 99893236), (13056, 99906870), (16929, 99921678),
    (22165, 99932315), (28402, 99938401), (37912, 99943493), (47465, 99946389), (63215, 99948457), (82786, 99950753),
    (109081, 99953649), (141090, 99957661), (185117, 99965074), (236515, 99977750), (300858, 99989227),
    (391832, 99994238), (509178, 100000000))
_BOUNDS = [bound for _, bound in KVCACHE_REG]


def mix(x):
    """A bijection of 64 bits without pattern (splitmix64's finisher)."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & MASK
    return x ^ x >> 31


def value_size_of(key):
    """The size that a key's value always has: drawn from KVCACHE_REG by the key's hash."""
    return KVCACHE_REG[bisect.bisect_right(_BOUNDS, mix(key ^ 0x5A5A5A5A) * 100000000 >> 64)][0]


def record(key, value_size, ttl_s=0, time_ms=0, op=GET):
    return RECORD.pack(key, value_size, ttl_s, time_ms, op)


class Writer:
    """Writes a stream; the header's count is filled in at the end. Use as a context."""

    def __init__(self, path, key_size=KEY_SIZE):
        if not KEY_SIZE_MIN <= key_size <= 250:
            raise ValueError("a key has 16 to 250 bytes")
        self.key_size = key_size
        self.count = 0
        self.file = open(path, "wb", buffering=1 << 20)

    def __enter__(self):
        self.file.write(HEADER.pack(MAGIC, self.key_size, RECORD.size, 0))
        return self

    def __exit__(self, *error):
        self.file.seek(0)
        self.file.write(HEADER.pack(MAGIC, self.key_size, RECORD.size, self.count))
        self.file.close()

    def write(self, records):
        """One packed record or several, one behind the other."""
        self.count += len(records) // RECORD.size
        self.file.write(records)
