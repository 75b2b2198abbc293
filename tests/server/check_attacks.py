"""Bytes that have broken caches before, and bytes that mean nothing: the server lives, answers the next client, and
has not grown. What binary frames are answered with is compared in tests/binary."""
import random
import socket
import struct

from harness import MIB, SANITIZED, Server, alive, main


def hexed(text):
    return bytes.fromhex(text.replace(" ", ""))


PADDING = bytes(12)
BINARY_STORES = [hexed(f"80{op:02x}00fa 08000000 ffffffd0") + PADDING + b"A" * 1024 for op in (1, 2, 3, 0x11, 0x12, 0x13)]
BINARY_APPENDS = [hexed(f"80{op:02x}00fa 00000000 00000000") + PADDING + b"A" * 1024 for op in (0x1a, 0x0e, 0x0f, 0x19)]
BINARY_LENGTHS = [hexed(f"800200fa {extras:02x}000000 {length:08x}") + PADDING + b"A" * 1024
                  for extras in (0, 8, 20, 255)
                  for length in (0x7ffffff0, 0x7fffffff, 0x80000000, 0x80000010, 0xfffffff0, 0xffffffff)]
KEY250 = b"k" * 250

PUBLISHED = {
    "CVE-2009-1255": [b"stats maps\r\n"],
    "CVE-2009-2415": [b"set a 0 0 4294967295\r\n", b"set a 0 0 -1\r\n", b"set a 0 0 18446744073709551615\r\n",
                      b"set a 0 0 2147483647\r\n", b"set a 0 0 9223372036854775807\r\n", b"set a 0 0 4294967294\r\nab\r\n"],
    "CVE-2010-1152": [b"a" * 65535, b"a" * 2048, b"a" * 16384, b"a" * 16383 + b"\r\n"],
    "CVE-2011-4971": [hexed("80120001 08000000 ffffffe8") + PADDING + hexed("ffffffff 01000000") + bytes(24)],
    "CVE-2013-0179": [hexed("800400fa 00000000 000000fa") + PADDING + KEY250, b"delete " + KEY250 + b"\r\n",
                      b"get " + KEY250 + b"\r\n"],
    "CVE-2016-8704": BINARY_APPENDS,
    "CVE-2016-8705": BINARY_STORES,
    "CVE-2016-8706": [hexed("80210020 00000001 00000001") + b"A" * 1000],
    "CVE-2017-9951": BINARY_LENGTHS,
    "CVE-2018-1000127": [b"get" + b" k" * 70000 + b"\r\n", b"gets" + b" k" * 70000 + b"\r\n", b"gat 0" + b" k" * 9000 + b"\r\n"],
    "CVE-2019-11596": [b"lru mode\r\n", b"lru temp_ttl\r\n", b"lru\r\n"],
    "CVE-2020-10931": [hexed(f"80010000 {extras:02x}000000 00001000") + PADDING + b"B" * 4096 for extras in (0x30, 0x15, 0xff)],
    "CVE-2020-22570": [b"mg foo " + b"v " * 40 + b"\r\n", b"mg\r\n", b"mg " + b"k" * 251 + b" v\r\n"],
    "CVE-2023-46852": [b"get" + b" " * 200 + b"k1 k2\r\n", b"get k\n", b"set k 0 0 1\nx\n", b"delete k\n", b"version\n",
                       b"incr k 1\n", b"touch k 1\n", b"stats\n"],
    "blank lines": [b" " * 65535, b"   \r\n", b"\n", b"\r\n", b" \n", b"\r\n" * 10000, b"\0" * 5000, b"\0\r\n"],
    "flags without their number": [b"mg k %s\r\n" % flag for flag in (b"T", b"N", b"R")] +
                                  [b"ms k 1 %s\r\n" % flag for flag in (b"T", b"F", b"C", b"E")] + [b"ma k D\r\n", b"ma k J\r\n"],
    "ends of the buffer": [b"get " + b"k" * (at - 6) + b"\r\n" for at in (2047, 2048, 2049, 16383, 16384, 16385)] +
                          [b"get" + b" kk" * ((at - 5) // 3) + b"\r\n" for at in (2048, 16382, 16383, 16384, 16385, 16388)],
    "meta": [b"mg k O" + b"o" * 64 + b"\r\n", b"ms k 2 MZ\r\nhi\r\n" * 1000],
    "lengths": [b"set a 0 0 600000\r\n" + b"x" * 600002, b"set a 0 0 1000000\r\n" + b"x" * 1000002, b"ms a 600000\r\n" + b"x" * 600002,
                b"set big 0 0 1048577\r\n" + b"x" * 1048577 + b"\r\n", b"append a 0 0 1048576\r\n" + b"x" * 99],
    "slabs": [b"slabs reassign 1 200\r\n", b"slabs reassign -1 -1\r\n", b"slabs automove window 0\r\n", b"slabs automove window 67108864\r\n"],
    "dumps": [b"stats cachedump 1 0\r\n", b"stats cachedump -1 -1\r\n", b"stats cachedump 4294967295 1\r\n", b"lru_crawler metadump all\r\n",
              b"stats sizes\r\n", b"stats items\r\n", b"stats slabs\r\n", b"stats detail dump\r\n", b"stats nonsense\r\n"],
    "numbers": [b"incr k 18446744073709551616\r\n", b"incr k -1\r\n", b"touch k 99999999999999999999\r\n", b"set k 4294967296 0 1\r\nx\r\n",
                b"set k 0 99999999999999999999 1\r\nx\r\n", b"flush_all 99999999999999999999\r\n", b"flush_all -1\r\n", b"cas k 0 0 1 -1\r\nx\r\n",
                b"verbosity 99999999999\r\n", b"cache_memlimit 0\r\n", b"cache_memlimit 99999999999999999999\r\n"],
    "other protocols": [b"\x89PNG\r\n\x1a\n" + bytes(64), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), b"SSH-2.0-x\r\n",
                        b"*1\r\n$4\r\nPING\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"],
}


def throw(server, data):
    """Sends it, closes this side, and takes what comes; a server that hangs up early has done its part."""
    with server.client() as client:
        try:
            client.send(data)
            client.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return client.to_end()


def attack(server, inputs):
    for data in inputs:
        throw(server, data)
        alive(server)


def grows_by(server, inputs):
    """What the second round adds: the first touches the memory that serving them takes once."""
    attack(server, inputs)
    before = server.rss_beside_store()
    attack(server, inputs)
    return server.rss_beside_store() - before


def test_published_attacks_do_nothing():
    with Server("-m", "64", "-t", "2", "-vv", weighed=True) as server:
        with server.client() as client:
            client.store(b"k", b"v" * 100)
        everything = [data for inputs in PUBLISHED.values() for data in inputs]
        grown = grows_by(server, everything)
        print(f"     {len(everything)} inputs, grown by {grown >> 10} KiB (goal < 1024)")
        assert server.process.poll() is None
        assert SANITIZED or grown < MIB, grown


def test_no_address_leaks():
    with Server() as server:
        for request in (b"stats maps\r\n", b"stats malloc\r\n"):
            assert b"0x" not in throw(server, request)


def test_many_key_lines_at_once_then_the_key_still_works():
    with Server("-t", "2") as server, server.client() as other:
        other.store(b"k", b"v")
        clients = [server.client() for _ in range(8)]
        for client in clients:
            client.socket.setblocking(False)
            try:
                client.socket.send(b"get" + b" k" * 70000 + b"\r\n")
            except BlockingIOError:
                pass
        for client in clients:
            client.socket.close()
        other.store(b"k", b"w")
        assert other.ask(b"delete k\r\n") == b"DELETED\r\n"


def frame(opcode, key=b"", extras=b"", value=b"", body_size=None):
    """A binary request."""
    size = len(key) + len(extras) + len(value) if body_size is None else body_size
    return struct.pack(">BBHBBHIIQ", 0x80, opcode, len(key), len(extras), 0, 0, size, 0, 0) + extras + key + value


def test_quiet_gets_whose_values_nobody_reads():
    """70,000 times 10 KB, and 7,000 times 500 KB, of which a client takes nothing."""
    with Server("-t", "2", weighed=True) as server, server.client() as other:
        other.store(b"k", b"v" * 10000)
        other.store(b"large", b"v" * 500000)
        before = server.rss_beside_store()
        clients = [server.client() for _ in range(8)]
        for number, client in enumerate(clients):
            client.socket.setblocking(False)
            try:
                client.socket.send(frame(0x09, b"large") * 7000 if number % 2 else frame(0x09, b"k") * 70000)
            except BlockingIOError:
                pass
        alive(server)
        grown = server.rss_beside_store() - before
        for client in clients:
            client.socket.close()
        other.store(b"k", b"w")
        assert other.ask(b"delete k\r\n") == b"DELETED\r\n"
        print(f"     grown by {grown >> 10} KiB")
        assert SANITIZED or grown < 2 * MIB, grown


def random_frame(generator):
    """One that is nearly right: mostly known opcodes and lengths that agree."""
    opcode = generator.choice((generator.randrange(0x25), generator.randrange(256)))
    extras = bytes(generator.choice((0, 0, 4, 8, 20, generator.randrange(256))))
    key = b"k" * generator.choice((0, 1, 1, 250, 251, generator.randrange(300)))
    value = b"v" * generator.choice((0, 0, 1, 100, 20000))
    lie = generator.choice((0, 0, 0, 0, 1, -1, 1 << 31, generator.randrange(1 << 32)))
    return frame(opcode, key, extras, value, (len(key) + len(extras) + len(value) + lie) & 0xffffffff)


def test_random_frames():
    generator = random.Random(22)
    with Server("-t", "2", weighed=True) as server:
        def talk(rounds):
            for _ in range(rounds):
                throw(server, b"".join(random_frame(generator) for _ in range(20)))
        talk(200)
        before = server.rss_beside_store()
        talk(400)
        alive(server)
        grown = server.rss_beside_store() - before
        print(f"     grown by {grown >> 10} KiB")
        assert SANITIZED or grown < MIB, grown


def test_random_bytes():
    generator = random.Random(20)
    with Server("-t", "2", weighed=True) as server:
        alive(server)
        throw(server, generator.randbytes(65536))
        before = server.rss_beside_store()
        for _ in range(300):
            throw(server, generator.randbytes(generator.randrange(1, 65536)))
        alive(server)
        grown = server.rss_beside_store() - before
        print(f"     grown by {grown >> 10} KiB")
        assert SANITIZED or grown < MIB


WORDS = [b"get", b"gets", b"gat", b"gats", b"set", b"add", b"replace", b"append", b"prepend", b"cas", b"delete", b"incr", b"decr", b"touch",
         b"flush_all", b"version", b"verbosity", b"stats", b"reset", b"settings", b"items", b"slabs", b"conns", b"noreply", b"0", b"1", b"-1", b"5",
         b"100", b"4294967295", b"18446744073709551615", b"k", b"key", b"k" * 250, b"k" * 251, b"\xff\x00", b"", b" ", b"mg", b"ms", b"me", b"detail", b"on", b"dump"]


def sentence(generator):
    line = b" ".join(generator.choice(WORDS) for _ in range(generator.randrange(1, 7)))
    body = generator.choice((b"", b"", b"x\r\n", b"12345\r\n", b"\r\n", b"x" * 100 + b"\r\n"))
    return line + generator.choice((b"\r\n", b"\r\n", b"\n", b"\r")) + body


def test_random_sentences_of_the_protocols_own_words():
    generator = random.Random(21)
    with Server("-t", "2", weighed=True) as server:
        def talk(rounds):
            for _ in range(rounds):
                throw(server, b"".join(sentence(generator) for _ in range(50)))
        talk(200)
        before = server.rss_beside_store()
        talk(400)
        alive(server)
        grown = server.rss_beside_store() - before
        print(f"     grown by {grown >> 10} KiB")
        assert SANITIZED or grown < MIB


if __name__ == "__main__":
    main()
