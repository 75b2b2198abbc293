"""Large values as their clients meet them: whole or not at all, under eviction, beside clients that stop reading, and within
the memory that is promised. VITRINE_LARGE=full is the long form (make soak-large): 100 values of 8 MiB, one of 600 MB."""
import hashlib
import os
import random
import socket
import tempfile
import threading
import time

from harness import MIB, PATIENCE_S, SANITIZED, Client, Server, eventually, main

FULL = os.environ.get("VITRINE_LARGE") == "full"
# What is promised beyond -m, and the share of it for values being sent (README, operations guide).
ALLOWANCE = 24 * MIB
PINNED_SHARE, STAGED_SHARE = 8, 4
BYTES = random.Random(5).randbytes(1 * MIB)


def value_of(number, size):
    """Bytes that only this number gives: a header, then a pattern that begins elsewhere for each number."""
    head = b"%d:%d:" % (number, size)
    turned = BYTES[number * 977 % MIB:] + BYTES[:number * 977 % MIB]
    return (head + turned * (size // MIB + 1))[:size]


def take(client, size):
    """As client.exact, without joining what has come anew for each part of it."""
    data = bytearray(size)
    got = min(size, len(client.rest))
    data[:got], client.rest = client.rest[:got], client.rest[got:]
    view = memoryview(data)
    while got < size:
        part = client.socket.recv_into(view[got:])
        assert part, f"closed after {got} of {size} bytes"
        got += part
    return bytes(data)


def take_value(client, line):
    """The value that this VALUE line announces, and its end."""
    value = take(client, int(line.split()[3]))
    assert client.exact(7) == b"\r\nEND\r\n"
    return value


def get(client, key):
    """The value, or None."""
    line = client.ask(b"get %s\r\n" % key)
    return None if line == b"END\r\n" else take_value(client, line)


def right(value, number, size):
    return value is None or value == value_of(number, size)


def gauge(path, name):
    """A figure of /metrics."""
    with socket.socket(socket.AF_UNIX) as scraper:
        scraper.settimeout(PATIENCE_S)
        scraper.connect(path)
        scraper.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        text = b""
        while part := scraper.recv(65536):
            text += part
    return int(next(line.split()[1] for line in text.split(b"\n") if line.startswith(name + b" ")))


class Watched:
    """A server whose figures can be read while its workers are busy."""

    def __init__(self, *options, weighed=False):
        self.folder = tempfile.TemporaryDirectory()
        os.chmod(self.folder.name, 0o777)  # the server may be nobody
        self.path = os.path.join(self.folder.name, "admin")
        self.server = Server("--admin-listen", f"unix:{self.path}", *options, weighed=weighed)

    def __enter__(self):
        self.server.__enter__()
        return self.server, lambda name: gauge(self.path, name)

    def __exit__(self, *what):
        self.server.__exit__(*what)
        self.folder.cleanup()


# ---- whole or not at all ----

def store_all(server, count, size, failures):
    with server.client() as client:
        for number in range(count):
            client.store(b"big-%d" % number, value_of(number, size))
            if not right(get(client, b"big-%d" % number), number, size):
                failures.append(f"big-{number} just stored")


def read_all(server, count, size, failures, stop):
    draw = random.Random(7)
    with server.client() as client:
        while not stop.is_set():
            number = draw.randrange(count)
            if not right(get(client, b"big-%d" % number), number, size):
                failures.append(f"big-{number} while others were stored")


def crowd(server, stop):
    """Small values that push everything else out."""
    with server.client() as client:
        number = 0
        while not stop.is_set():
            number += 1
            client.send(b"".join(b"set small-%d-%d 0 0 8000 noreply\r\n%s\r\n" % (number, i, BYTES[i:i + 8000])
                                 for i in range(100)) + b"version\r\n").until(b"\r\n")


def play_under_eviction(options, count, size):
    failures, stop = [], threading.Event()
    with Server("-t", "2", *options) as server:
        others = [threading.Thread(target=read_all, args=(server, count, size, failures, stop)),
                  threading.Thread(target=crowd, args=(server, stop))]
        for thread in others:
            thread.start()
        try:
            store_all(server, count, size, failures)
            eventually(lambda: int(server.stats()[b"evictions"]) > 1000, "something is evicted")
        finally:
            stop.set()
            for thread in others:
                thread.join()
        assert not failures, failures[:5]
        with server.client() as client:
            found = 0
            for number in range(count):
                value = get(client, b"big-%d" % number)
                assert right(value, number, size), number
                found += value is not None
            print(f"     {found} of {count} values of {size // MIB} MiB are left, {client.number(b'evictions')} items were evicted")
            alive_after = value_of(1, size)
            client.store(b"last", alive_after)
            assert get(client, b"last") == alive_after


def test_values_of_megabytes_come_back_whole_or_not_at_all_under_eviction():
    if FULL:
        play_under_eviction(("-m", "1024", "-I", "16m"), 100, 8 * MIB)
    else:
        play_under_eviction(("-m", "256", "-I", "8m"), 40, 4 * MIB)


# ---- clients that stop reading ----

GIVEN_UP_S = 50
ASKED = 12  # times, so that the replies fill the kernel's buffers, and more


def stall(server, key):
    """A client that has asked for a value several times and reads nothing of it."""
    client = Client.__new__(Client)
    client.socket, client.rest = socket.socket(), b""
    client.socket.settimeout(PATIENCE_S)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.socket.connect(server.address())
    return client.send(b"get %s\r\n" % key * ASKED)


def rest_of(client):
    """All that comes until the server closes."""
    parts = []
    try:
        while part := client.socket.recv(1 << 20):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def test_fifty_clients_that_stop_reading_take_their_share_and_disturb_nobody():
    """The kernel gives up a client that takes nothing for a minute (TCP_USER_TIMEOUT): on a machine that needs as long for
    this, the readers prove nothing but that what they got is right."""
    size, count, memory = 1000000, 50, 64 * MIB
    with Watched("-m", "64", "-t", "2") as (server, figure), server.client() as client:
        for number in range(count):
            client.store(b"big-%d" % number, value_of(number, size))
        begin = time.monotonic()
        stalled = [stall(server, b"big-%d" % number) for number in range(count)]
        eventually(lambda: client.number(b"get_hits") + client.number(b"get_misses") >= count, "all were answered to")
        eventually(lambda: figure(b"vitrine_pinned_bytes") >= 4 * MIB, "replies are held up")
        pinned = figure(b"vitrine_pinned_bytes")
        before, evicted, number = client.number(b"evictions"), 0, 0
        while evicted <= 100:
            client.store(b"new-%d" % number, value_of(number, size))
            assert get(client, b"new-%d" % number) == value_of(number, size)
            number += 1
            assert number < 1000, evicted
            if number % 20 == 0:
                assert figure(b"vitrine_pinned_bytes") <= memory // PINNED_SHARE
                evicted = client.number(b"evictions") - before
        print(f"     {pinned / MIB:.1f} MiB pinned; {evicted} items evicted meanwhile")
        whole = 0
        for number, reader in enumerate(stalled):
            reader.send(b"quit\r\n")
            text = rest_of(reader)
            one = b"VALUE big-%d 0 %d\r\n" % (number, size) + value_of(number, size) + b"\r\nEND\r\n"
            there = len(text) // len(one)
            # Whole values, then perhaps one that was cut off, or misses since the value went.
            rest = text[there * len(one):]
            assert text.startswith(one * there) and (one.startswith(rest) or rest == b"END\r\n" * (ASKED - there)), number
            whole += there == ASKED
            reader.socket.close()
        print(f"     {whole} of {count} stalled readers got all they had asked for, the others part of it")
        assert whole >= 5 or time.monotonic() - begin > GIVEN_UP_S, whole
        eventually(lambda: figure(b"vitrine_pinned_bytes") == 0, "nothing is pinned any more")


def test_half_sent_values_take_at_most_a_quarter_and_others_are_served():
    size = 1000000
    with Watched("-m", "64", "-t", "2", weighed=True) as (server, figure), server.client() as client:
        senders = [server.client() for _ in range(60)]
        for number, sender in enumerate(senders):
            try:
                sender.send(b"set half-%d 0 0 %d\r\n" % (number, size) + value_of(number, size)[:size - 1000])
            except OSError:
                pass  # refused and closed
            assert figure(b'vitrine_memory_bytes{class="staging"}') <= 64 * MIB // STAGED_SHARE
        for number in range(100):
            value = value_of(number, 900)
            client.store(b"k-%d" % number, value)
            assert get(client, b"k-%d" % number) == value
        for sender in senders:
            sender.socket.close()
        eventually(lambda: figure(b'vitrine_memory_bytes{class="staging"}') == 0, "their memory comes back")
        assert all(get(client, b"half-%d" % number) is None for number in range(60))
        client.store(b"big", value_of(1, size))
        assert SANITIZED or server.rss() <= (64 * MIB + ALLOWANCE)


# ---- each command ----

def test_every_command_works_on_large_values():
    size = 3 * MIB
    value = value_of(1, size)
    with Server("-m", "256", "-I", "16m") as server, server.client() as client:
        client.store(b"k", value)
        for command, rest in ((b"append", b"tail" * 50000), (b"prepend", b"head" * 50000)):
            assert client.ask(b"%s k 0 0 %d\r\n%s\r\n" % (command, len(rest), rest)) == b"STORED\r\n"
            value = value + rest if command == b"append" else rest + value
            assert get(client, b"k") == value
        assert client.ask(b"touch k 1000\r\n") == b"TOUCHED\r\n"
        line = client.ask(b"gat 2000 k\r\n")
        assert take_value(client, line) == value
        line = client.ask(b"gets k\r\n")
        assert take_value(client, line) == value
        unique, other = line.split()[4], value_of(2, size)
        assert client.ask(b"cas k 0 0 %d %s\r\n%s\r\n" % (size, unique, other)) == b"STORED\r\n"
        assert client.ask(b"cas k 0 0 %d %s\r\n%s\r\n" % (size, unique, value[:size])) == b"EXISTS\r\n"
        assert get(client, b"k") == other
        assert client.ask(b"incr k 1\r\n").startswith(b"CLIENT_ERROR cannot increment")
        assert client.ask(b"add k 0 0 1\r\nx\r\n") == b"NOT_STORED\r\n"
        assert client.ask(b"set k 0 0 %d\r\n" % (17 * MIB) + bytes(17 * MIB) + b"\r\n").startswith(b"SERVER_ERROR object too large")
        assert get(client, b"k") is None  # a set that fails leaves nothing old behind
        client.store(b"k", other)
        assert client.ask(b"delete k\r\n") == b"DELETED\r\n" and get(client, b"k") is None


# ---- memory ----

def replace_and_delete(memory, item_max, size, rounds):
    """Stores, reads back, replaces and deletes; the resident size holds all the while."""
    bound = memory * MIB + ALLOWANCE
    with Watched("-m", str(memory), "-I", item_max, "-t", "1", weighed=True) as (server, figure), server.client() as client:
        for number in range(rounds):
            value = value_of(number, size)
            client.store(b"k", value)
            assert hashlib.sha1(get(client, b"k")).digest() == hashlib.sha1(value).digest()
        most = int(server.status("VmHWM")) << 10
        print(f"     {size / 1e6:.0f} MB at -m {memory}: at most {most / MIB:.0f} MiB resident, promised {bound / MIB:.0f}")
        assert SANITIZED or most <= bound
        assert client.ask(b"delete k\r\n") == b"DELETED\r\n" and get(client, b"k") is None
        assert client.number(b"bytes") == 0


def test_one_value_of_a_large_part_of_memory_is_replaced_within_the_promised_size():
    replace_and_delete(128, "32m", 25000000, 6)
    if FULL:
        replace_and_delete(2500, "1g", 600000000, 2)


if __name__ == "__main__":
    main()
