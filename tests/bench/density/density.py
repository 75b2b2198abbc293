"""What an item costs in memory beyond its key and value, and how many items fit: Vitrine beside memcached.

Overhead: RSS growth of a fresh server while a million items are stored, less their keys and values, an item. Capacity:
a server is filled three times over; items in it a MiB of RSS. Prints a report in Markdown; writes it with --write.
"""
import argparse
import os
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "lib"), os.path.join(HERE, "..", "policy")]
import report  # noqa: E402
import servers  # noqa: E402
import split  # noqa: E402
import stream  # noqa: E402

ITEMS = 1_000_000
KEY_SIZE = 11
EXPIRY_S = 86400
EXPIRIES = (EXPIRY_S, 0)
# 57 and 61 are the worst there can be: three bytes to the next multiple of four.
PAYLOADS = (55, 57, 61, 100, 260, 1000)
SPLIT_LIMIT, SPLIT_PAYLOADS = 64, (100, 1536)  # MiB, bytes
MIB = 1 << 20
SETTLE_S = 1.5
CHUNK = 1 << 18
# Rows of the second table: name, whether sizes are drawn, whether it ends with the first eviction.
CAPACITIES = [("55 bytes of key and value, three times over", False, False),
              ("11-byte keys, value sizes of Meta's kvcache_reg, until the first eviction", True, True),
              ("the same, three times over", True, False)]


def settled_memory(server):
    """RSS when background work is done."""
    time.sleep(SETTLE_S)
    return server.memory()


def store(arguments, server, count, value_size, expiry_s):
    command = [arguments.load, "--json", "--port", str(server.port), "--keys", str(count), "--key-size", str(KEY_SIZE),
               "--value-size", str(value_size), "--expiry", str(expiry_s), "--connections", "2", "--depth", "32",
               "--set-ratio", "1", "--requests", str(count), "--distribution", "sequential"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"load against {server.name} failed: {done.stderr.strip()}")


def overhead(arguments, start, payload, expiry_s):
    """Bytes an item beyond its payload."""
    with start("-m", "2048", "-t", "1") as server:
        store(arguments, server, 1, payload - KEY_SIZE, expiry_s)
        before = settled_memory(server)
        store(arguments, server, ITEMS, payload - KEY_SIZE, expiry_s)
        grown = settled_memory(server) - before
        if server.stat("curr_items") != ITEMS:
            raise SystemExit(f"{server.name} lost items that fit in its memory")
    return grown / ITEMS - payload


def store_drawn(server, size, expiry_s, until_full):
    """Sets of new keys with values drawn from Meta's kvcache_reg until `size` bytes of them were sent, or one was evicted."""
    value = b"v" * max(row[0] for row in stream.KVCACHE_REG)
    batch, sent, number = [], 0, 0
    with socket.create_connection(("127.0.0.1", server.port), 10) as link:
        pending = 0
        while sent < size:
            value_size = stream.value_size_of(number)
            batch.append(b"set key%08d 0 %d %d noreply\r\n%b\r\n" % (number, expiry_s, value_size, value[:value_size]))
            pending += value_size
            number += 1
            if pending > CHUNK:
                link.sendall(b"".join(batch))
                sent += pending
                batch, pending = [], 0
                if until_full and server.stat("evictions") > 0:
                    break
        link.sendall(b"".join(batch) + b"version\r\n")
        while not link.recv(4096).endswith(b"\r\n"):
            pass


def capacity(arguments, start, drawn, until_full, expiry_s):
    """Items a MiB of RSS when the memory limit is reached."""
    size = 3 * arguments.limit * MIB
    with start("-m", str(arguments.limit), "-t", "1") as server:
        if drawn:
            store_drawn(server, size, expiry_s, until_full)
        else:
            store(arguments, server, size // 55, 55 - KEY_SIZE, expiry_s)
        return server.stat("curr_items") / (settled_memory(server) / MIB)


def fill(arguments, server, payload):
    """Twice as much as fits, without expiry."""
    store(arguments, server, 2 * SPLIT_LIMIT * MIB // payload, payload - KEY_SIZE, 0)
    settled_memory(server)


def where(arguments):
    """What the memory of a full server is used for."""
    return ["", f"Where it is after `-m {SPLIT_LIMIT} -t 2` was filled twice over, without expiry, in MiB:", "",
            *split.table(lambda admin: servers.vitrine(arguments.vitrine, "-m", str(SPLIT_LIMIT), "-t", "2", admin=admin),
                         lambda server, payload: fill(arguments, server, payload), SPLIT_PAYLOADS)]


def row(name, form, measure):
    """Ours, theirs and the ratio, for each expiry."""
    cells = []
    for expiry_s in EXPIRIES:
        ours, theirs = measure(expiry_s)
        cells += [form.format(ours), form.format(theirs), f"**{ours / theirs:.2f}**"]
    line = f"| {name} | " + " | ".join(cells) + " |"
    print(line, file=sys.stderr, flush=True)
    return line


def text_of(arguments, starts):
    lines = ["# Density", "",
             f"`make bench-density`: RSS growth of a fresh server (`-t 1 -m 2048`) while {ITEMS:,} items of {KEY_SIZE}-byte keys are",
             "stored, less keys and values, in bytes an item: header, alignment, index, and what of segments and huge pages is not",
             "full. 57 and 61 bytes are the worst payloads for Vitrine's alignment.", "",
             "| payload | vitrine, expiry | memcached, expiry | ratio | vitrine, none | memcached, none | ratio |",
             "|---|---|---|---|---|---|---|"]
    for payload in PAYLOADS:
        lines.append(row(payload, "{:.1f}", lambda expiry_s: [overhead(arguments, start, payload, expiry_s) for start in starts]))
    lines += ["", f"Items in a MiB of RSS after `-m {arguments.limit}` was filled until the first eviction, and three times over. "
              "(Of sizes that differ Vitrine keeps the small ones longer: more items, not denser ones.)", "",
              "| items | vitrine, expiry | memcached, expiry | ratio | vitrine, none | memcached, none | ratio |",
              "|---|---|---|---|---|---|---|"]
    for name, drawn, until_full in CAPACITIES:
        lines.append(row(name, "{:.0f}", lambda expiry_s: [capacity(arguments, start, drawn, until_full, expiry_s) for start in starts]))
    return "\n".join([*lines, *where(arguments), ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--load", required=True)
    parser.add_argument("--vitrine", required=True)
    parser.add_argument("--limit", type=int, default=256, help="-m of the servers that are filled, in MiB")
    report.add_option(parser)
    arguments = parser.parse_args()
    starts = [lambda *o: servers.vitrine(arguments.vitrine, *o), servers.memcached]
    report.publish(text_of(arguments, starts), arguments.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
