"""How long requests wait while a server grows: fills Vitrine and memcached in turn at a fixed rate from empty.

Server on one core, load on another. Prints the worst windows of 100 ms by their p99.9, what memory the items took, and
how much of it has come back some seconds after flush_all.
"""
import argparse
import os
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import servers  # noqa: E402

SERVER_CORE, LOAD_CORE = 0, 1
MIB = 1 << 20
# Of 10-byte keys and 10-byte values: Vitrine takes 45 bytes an item, memcached 80 and, while it grows, two tables.
MEMORY_AN_ITEM = 128
WARM_WINDOWS = 5
FLUSH_S, FLUSHED_A_SECOND = 8, 2_500_000  # the sweep takes its time
WORST = 3


def windows_of(arguments, server):
    """[(start ms, requests, p50, p99.9, maximum in us), ...] of one fill."""
    command = ["taskset", "-c", str(LOAD_CORE), arguments.growth, str(server.port), str(arguments.count), str(arguments.rate)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{server.name}: {done.stderr.strip()}")
    return [tuple(map(int, line.split())) for line in done.stdout.splitlines()]


def flush(server, count):
    """flush_all; returns (RSS in the end, seconds until it no longer fell)."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as link:
        link.sendall(b"flush_all\r\n")
        if link.recv(64) != b"OK\r\n":
            raise SystemExit(f"{server.name} did not flush")
    start = fell = time.monotonic()
    least = server.memory()
    while time.monotonic() - start < FLUSH_S + count / FLUSHED_A_SECOND:
        time.sleep(0.1)
        now = server.memory()
        if now < least - MIB:
            least, fell = now, time.monotonic()
    return server.memory(), fell - start


def measure(arguments, server):
    empty = server.memory()
    windows = windows_of(arguments, server)
    filled = server.memory()
    flushed, seconds = flush(server, arguments.count)
    # The first windows show a process that has just been started, not one that grows.
    ranked = sorted(windows[WARM_WINDOWS:], key=lambda window: -window[3])
    typical = sorted(window[3] for window in windows)[len(windows) // 2]
    print(f"{server.name:10} p99.9 of 100 ms: worst {', '.join(f'{w[3]} us at {w[0] / 1000:.1f} s' for w in ranked[:WORST])}, "
          f"median {typical} us; slowest request {max(w[4] for w in windows[WARM_WINDOWS:])} us")
    print(f"{'':10} RSS {empty / MIB:.0f} MiB empty, {filled / MIB:.0f} MiB full "
          f"({(filled - empty) / arguments.count:.1f} bytes an item), {flushed / MIB:.0f} MiB after flush_all, "
          f"reached in {seconds:.1f} s", flush=True)
    return ranked[0][3]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--growth", required=True, help="the load generator, built from growth.c")
    parser.add_argument("--vitrine", required=True)
    parser.add_argument("--count", type=int, default=5_000_000)
    parser.add_argument("--rate", type=int, default=250_000, help="sets a second")
    arguments = parser.parse_args()
    memory = str(arguments.count * MEMORY_AN_ITEM // MIB + 64)
    print(f"{arguments.count:,} items of 10-byte keys and 10-byte values, {arguments.rate:,} sets and 20,000 gets a second")
    worst = {}
    for start in (lambda *o: servers.vitrine(arguments.vitrine, *o, core=SERVER_CORE),
                  lambda *o: servers.memcached(*o, core=SERVER_CORE)):
        with start("-m", memory, "-t", "1") as server:
            worst[server.name] = measure(arguments, server)
    print(f"worst p99.9, vitrine / memcached: {worst['vitrine'] / worst['memcached']:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
