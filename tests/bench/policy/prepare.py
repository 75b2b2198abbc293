"""Turns public cache traces into streams for the policy simulator and the replay by wire.

    prepare.py TRACE... [--copies N] [--limit N] --out FILE

Several traces are put one behind the other, each with keys of its own. --copies N makes each request N requests, for the
same object in N key spaces, one after the other: the same pattern over N times as many bytes, each with a value size of
its own. Formats, chosen by the name or by --format:

    u32le, u32be, u64   binary object numbers           cache2k's orm-busy; its web07 and web12; scarab, corda
    lines               a number a line, "*" ignored    lirs
    sized               lines "time number size"        adapt_size: the trace's own value sizes
    arc                 lines "first count ...": that many numbers from the first on   ARC's and UMass' block traces
Files may be compressed with gzip or xz.
"""
import argparse
import gzip
import lzma
import os
import struct
import sys

import stream

FORMAT_BY_NAME = (("orm", "u32le"), ("cache2k_web", "u32be"), ("scarab", "u64"), ("corda", "u64"), ("adapt_size", "sized"),
                  (".lis", "arc"), ("arc_", "arc"))
VALUE_SIZE_MAX = 1000000  # below what a cache takes by default; two objects of adapt_size are larger
BLOCK = 1 << 16


def opened(path):
    if path.endswith(".xz"):
        return lzma.open(path, "rb")
    return gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb")


def numbers(file, code):
    item = struct.Struct(code)
    while True:
        block = file.read(item.size * BLOCK)
        for (number,) in item.iter_unpack(block[:len(block) // item.size * item.size]):
            yield number, None
        if len(block) < item.size * BLOCK:
            return


def lines(file):
    for line in file:
        if line.strip().isdigit():
            yield int(line), None


def sized(file):
    for line in file:
        _, number, size = line.split()[:3]
        yield int(number), min(int(size), VALUE_SIZE_MAX)


def arc(file):
    for line in file:
        first, count = line.split()[:2]
        for number in range(int(first), int(first) + int(count)):
            yield number, None


READERS = {"u32le": lambda file: numbers(file, "<I"), "u32be": lambda file: numbers(file, ">I"),
           "u64": lambda file: numbers(file, "<Q"), "lines": lines, "sized": sized, "arc": arc}


def format_of(path):
    name = os.path.basename(path).lower()
    return next((kind for part, kind in FORMAT_BY_NAME if part in name), "lines")


def records_of(space, number, size, copies):
    """One object's requests, in each copy of the key space."""
    packed = b""
    for copy in range(copies):
        key = stream.mix(stream.mix(number) ^ stream.mix(space << 32 | copy))
        packed += stream.record(key, stream.value_size_of(key) if size is None else size)
    return packed


def convert(writer, path, kind, space, copies, limit):
    known = {}
    with opened(path) as file:
        for at, (number, size) in enumerate(READERS[kind](file)):
            if at == limit:
                return
            packed = known.get(number)
            if packed is None:
                packed = known[number] = records_of(space, number, size, copies)
            writer.write(packed)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("traces", nargs="+", metavar="TRACE")
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--limit", type=int, help="requests taken from each trace")
    parser.add_argument("--format", choices=sorted(READERS))
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    with stream.Writer(options.out) as writer:
        for space, path in enumerate(options.traces):
            convert(writer, path, options.format or format_of(path), space, options.copies, options.limit)
        print("%s: %d requests" % (options.out, writer.count))
    return 0


if __name__ == "__main__":
    sys.exit(main())
