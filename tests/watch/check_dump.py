"""lru_crawler metadump and mgdump: every key once at least, exact lines, at the client's speed, one at a time."""
import re
import threading
import time
import urllib.parse

from harness import MIB, PATIENCE_S, SANITIZED, Client, Server, alive, eventually, main
from lines import memcached

META = re.compile(rb"key=(?P<key>\S+) exp=(?P<exp>-1|\d+) la=(?P<la>\d+) cas=(?P<cas>\d+) fetch=(?P<fetch>yes|no) cls=(?P<cls>\d+) "
                  rb"size=(?P<size>\d+) flags=(?P<flags>\d+) ")
MANY = 20000 if SANITIZED else 1000000
BUSY = b"BUSY currently processing crawler request\r\n"


def fill(client, keys, size=10, flags=0, expiry=0):
    """Stores values of `size` bytes, a few hundred to a send, and waits until all are there."""
    body = b" %d %d %d noreply\r\n%s\r\n" % (flags, expiry, size, b"v" * size)
    keys = list(keys)
    for begin in range(0, len(keys), 500):
        client.send(b"".join(b"set %s%s" % (key, body) for key in keys[begin:begin + 500]))
    client.ask(b"version\r\n")


def dump(client, request, end):
    """The whole of a dump, which is too long to be searched anew with each piece."""
    client.send(request)
    pieces, tail = [], b""
    while not tail.endswith(end):
        piece = client.socket.recv(1 << 20)
        assert piece, tail
        pieces.append(piece)
        tail = (tail + piece)[-16:]
    return b"".join(pieces)


def metadump(client, classes=b"all"):
    """The fields of each line, by key as it was stored."""
    text = dump(client, b"lru_crawler metadump %s\r\n" % classes, b"END\r\n")
    first, *lines, last = text.split(b"\n")
    assert first == b"OK\r" and last == b"" and lines.pop() == b"END\r", (first, last)
    rows = {}
    for line in lines:
        match = META.fullmatch(line)
        assert match, line
        rows[urllib.parse.unquote_to_bytes(match["key"])] = match.groupdict()
    return rows


def mgdump(client, classes=b"all"):
    first, *lines, end, last = dump(client, b"lru_crawler mgdump %s\r\n" % classes, b"\r\nEN\r\n").split(b"\r\n")
    assert (first, end, last) == (b"OK", b"EN", b"")
    return lines


def test_each_line_tells_what_is_known_of_its_item():
    with Server("-t", "1") as server, server.client() as client:
        client.ask(b"set plain 0 0 3\r\nabc\r\n")
        client.ask(b"set odd,key%%/\xc3\xa9 4294967295 0 1\r\nx\r\n")
        client.ask(b"set going 7 3600 1000\r\n%s\r\n" % (b"x" * 1000))
        client.ask(b"set gone 0 -1 1\r\nx\r\n")
        cas = client.ask(b"gets plain\r\n", b"END\r\n").split()[4]
        rows = metadump(client)
        now = int(time.time())
        assert set(rows) == {b"plain", b"odd,key%%/\xc3\xa9", b"going"}, rows
        plain, odd, going = rows[b"plain"], rows[b"odd,key%%/\xc3\xa9"], rows[b"going"]
        assert odd["key"] == b"odd%2Ckey%25%25%2F%C3%A9"
        assert (plain["exp"], plain["fetch"], plain["cas"], plain["flags"]) == (b"-1", b"yes", cas, b"0")
        assert (odd["fetch"], odd["flags"], odd["cls"]) == (b"no", b"4294967295", b"1")
        assert abs(int(going["exp"]) - now - 3600) <= PATIENCE_S and going["flags"] == b"7"
        assert abs(int(plain["la"]) - now) <= PATIENCE_S
        assert int(going["size"]) > 1000 and int(going["cls"]) > 1


def test_the_lines_are_those_of_memcached():
    """1.6.18 says neither OK nor flags; times, CAS, class and size are the server's own."""
    def normal(text):
        lines = text.replace(b"OK\r\n", b"").split(b"\n")
        return sorted(re.sub(rb"(exp|la|cas|cls|size)=(-1|)\d*", rb"\1=\2", line.split(b" flags=")[0]) for line in lines)

    texts = []
    # Its maintainer would send the crawler out by itself, which then has no time for this dump.
    with Server("-t", "1", "-m", "64") as ours, memcached("-o", "no_lru_maintainer") as theirs:
        for address in (ours.address(), ("127.0.0.1", theirs.port)):
            with Client(address) as client:
                fill(client, [b"k%d" % i for i in range(300)] + [b"%s%%,\xff" % (b"#" * 240)], expiry=0)
                fill(client, [b"e%d" % i for i in range(300)], size=600, expiry=600)
                client.ask(b"get k1 e2\r\n", b"END\r\n")
                texts.append(normal(client.ask(b"lru_crawler metadump all\r\n", b"END\r\n")))
    assert texts[0] == texts[1], [pair for pair in zip(*texts) if pair[0] != pair[1]][:3]


def test_classes_are_told_apart_and_together_are_all():
    with Server("-t", "1") as server, server.client() as client:
        for size in (1, 100, 1000, 10000, 300000):
            fill(client, [b"s%d_%d" % (size, i) for i in range(20)], size=size)
        rows = metadump(client)
        classes = {row["cls"] for row in rows.values()}
        assert len(rows) == 100 and len(classes) == 5
        for one in classes:
            assert set(metadump(client, one)) == {key for key, row in rows.items() if row["cls"] == one}
        assert set(metadump(client, b",".join(classes) + b",")) == set(rows) == set(metadump(client, b"hash"))
        assert metadump(client, b"63") == {}


def test_mgdump_is_a_list_of_requests():
    with Server("-t", "1") as server, server.client() as client:
        keys = [b"key%d" % i for i in range(3000)] + [b"odd,%%/\xc3\xa9"]
        fill(client, keys)
        assert sorted(mgdump(client)) == sorted(b"mg " + key for key in keys)
        assert mgdump(client, b"60") == []


def test_keys_that_came_in_base64_are_dumped_so():
    with Server("-t", "1") as server, server.client() as client:
        client.ask(b"ms c3BhY2UgYQ== 1 b\r\nx\r\n")  # "space a"
        client.ask(b"ms YWJj 1 b\r\nx\r\n")  # "abc"
        client.ask(b"ms plain 1\r\nx\r\n")
        lines = mgdump(client)
        assert sorted(lines) == [b"mg YWJj b", b"mg c3BhY2UgYQ== b", b"mg plain"], lines
        for line in lines:
            assert client.ask(line + b" v\r\n", b"\r\nx\r\n") == b"VA 1\r\nx\r\n"
        assert sorted(metadump(client)) == [b"abc", b"plain", b"space a"]
        assert b"key=space%20a " in client.ask(b"lru_crawler metadump all\r\n", b"END\r\n")


def test_cachedump_tells_of_one_class_up_to_its_limits():
    with Server("-t", "1", "-m", "128") as server, server.client() as client:
        fill(client, [b"small%d" % i for i in range(20000)], size=5)
        fill(client, [b"large%d" % i for i in range(3)], size=10000, expiry=3600)
        rows = metadump(client)
        large = rows[b"large0"]["cls"]
        lines = client.ask(b"stats cachedump %s 0\r\n" % large, b"END\r\n").split(b"\r\n")[:-2]
        assert sorted(lines) == [b"ITEM large%d [10000 b; %s s]" % (i, rows[b"large%d" % i]["exp"]) for i in range(3)]
        assert len(client.ask(b"stats cachedump 1 7\r\n", b"END\r\n").split(b"\r\n")) == 7 + 2
        text = dump(client, b"stats cachedump 1 0\r\n", b"END\r\n")
        assert text.count(b"ITEM small") == 20000 and text.count(b" [5 b; 0 s]\r\n") == 20000
        assert client.ask(b"stats cachedump 0 0\r\n") == b"END\r\n"
        fill(client, [b"long%0240d" % i for i in range(12000)], size=5)
        sizes = [len(dump(client, b"stats cachedump %d 0\r\n" % band, b"END\r\n")) for band in range(8)]
        assert (2 << 20) - 300 < max(sizes) <= (2 << 20) + 5, sizes


def test_what_follows_a_dump_is_answered_behind_it():
    with Server("-t", "1") as server, server.client() as client:
        fill(client, [b"k%d" % i for i in range(2000)])
        client.send(b"lru_crawler metadump all\r\nversion\r\nget k1\r\nlru_crawler mgdump all\r\nget k2\r\n")
        assert client.until(b"END\r\n").count(b"key=") == 2000
        assert client.until(b"\r\n").startswith(b"VERSION")
        assert client.until(b"END\r\n").startswith(b"VALUE k1 ")
        assert client.until(b"\nEN\r\n").count(b"mg ") == 2000
        assert client.until(b"END\r\n").startswith(b"VALUE k2 ")


def test_a_million_keys_are_all_there_and_others_are_served_meanwhile():
    with Server("-t", "1", "-m", "256") as server, server.client() as client, server.client() as other:
        fill(client, (b"key-%07d" % i for i in range(MANY)), size=8)
        assert client.number(b"curr_items") == MANY
        served = 0
        client.send(b"lru_crawler metadump all\r\n")
        client.until(b"OK\r\n")
        seen = bytearray(MANY)
        ended = False
        while not ended:
            data = client.socket.recv(1 << 16)  # so that it takes many turns however slow we are
            assert data
            *lines, client.rest = (client.rest + data).split(b"\n")
            for line in lines:
                ended = ended or line == b"END\r"
                if not ended:
                    seen[int(line[8:15])] += 1
            other.ask(b"get key-0000001\r\n", b"END\r\n")
            served += 1
        assert min(seen) >= 1 and served > 10, (min(seen), served)
        assert client.number(b"crawler_items_checked") >= MANY
        assert client.number(b"lru_crawler_starts") == 1


def test_nothing_is_missed_while_the_index_grows_and_items_are_evicted():
    """No key is stored twice: what is in the dump before and in the one behind was there throughout."""
    with Server("-t", "2", "-m", "8") as server, server.client() as client, server.client() as writer:
        fill(client, [b"old%d" % i for i in range(10000)])
        stop = threading.Event()

        def write():
            number = 0
            while not stop.is_set():
                fill(writer, [b"new%d" % (number + i) for i in range(2000)], size=100)
                number += 2000

        dumps = [set(metadump(client))]
        thread = threading.Thread(target=write)
        thread.start()
        try:
            dumps += [set(metadump(client)) for _ in range(4)]
            eventually(lambda: client.number(b"evictions") > 0, "the store is full")
            dumps += [set(metadump(client)) for _ in range(4)]
        finally:
            stop.set()
            thread.join()
        assert len(dumps[0]) == 10000 and len(dumps[-1]) > 10000
        for before, seen, behind in zip(dumps, dumps[1:], dumps[2:]):
            missed = (before & behind) - seen
            assert not missed, list(missed)[:5]


def test_one_dump_at_a_time_and_the_slow_one_holds_no_memory_and_nobody_up():
    with Server("-t", "1", "-m", "256", weighed=True) as server, server.client() as client:
        fill(client, (b"key-%0200d" % i for i in range(60000)), size=8)  # more than the kernel takes for a reader
        before = server.rss_beside_store()
        with server.client() as slow:
            slow.send(b"lru_crawler metadump all\r\n")
            slow.until(b"OK\r\n")
            eventually(lambda: client.number(b"lru_crawler_running") == 1, "it goes on")
            for request in (b"metadump all", b"mgdump hash", b"metadump 1", b"crawl all"):
                assert client.ask(b"lru_crawler %s\r\n" % request) == BUSY
            assert client.ask(b"lru_crawler metadump x\r\n") == b"BADCLASS invalid class id\r\n"

            def waits_for_its_reader():
                return b"conn_mwrite" in [v for name, v in client.stats(b"conns").items() if name.endswith(b":state")]

            eventually(waits_for_its_reader, "the kernel takes no more")
            used = server.cpu_s()
            time.sleep(0.3)
            assert server.cpu_s() - used < 0.2, "it waits for its reader"
            assert SANITIZED or server.rss_beside_store() - before < MIB
        eventually(lambda: client.number(b"lru_crawler_running") == 0, "the client has left, and so has its dump")
        assert len(metadump(client)) == 60000


def test_a_reader_that_stalls_for_ever_is_closed_as_idle():
    with Server("-t", "1", "-m", "64", "-o", "idle_timeout=3") as server:
        with server.client() as client:
            fill(client, (b"key-%0200d" % i for i in range(60000)), size=8)
        with server.client() as slow:
            slow.send(b"lru_crawler metadump all\r\n")
            slow.until(b"OK\r\n")

            def is_over():
                with server.client() as client:
                    return client.number(b"lru_crawler_running") == 0

            eventually(is_over, "it is closed")


def test_readers_of_every_speed_get_the_same():
    with Server("-t", "2") as server, server.client() as client:
        fill(client, [b"key%d" % i for i in range(5000)])
        for size in (1, 100, 7777, 1 << 20):
            with server.client() as reader:
                reader.send(b"lru_crawler metadump all\r\n")
                text = b""
                while not text.endswith(b"END\r\n"):
                    if size == 1 and len(text) > 5000:
                        size = 1 << 16
                    text += reader.socket.recv(size)
                assert text.count(b"\nkey=") == 5000


def test_dumps_end_with_their_clients_and_with_the_server():
    with Server("-t", "2", "-m", "256") as server, server.client() as client:
        fill(client, (b"key-%07d" % i for i in range(100000)), size=8)
        for _ in range(20):
            with server.client() as reader:
                reader.send(b"lru_crawler metadump all\r\n")
                reader.until(b"OK\r\n")
            eventually(lambda: client.number(b"lru_crawler_running") == 0, "the client has left")
        alive(server)
        client.send(b"lru_crawler metadump all\r\n").until(b"OK\r\n")


def test_the_crawler_can_be_switched_off():
    with Server("-o", "no_modern,lru_crawler") as server, server.client() as client:
        assert metadump(client) == {}
    with Server("-o", "no_modern") as server, server.client() as client:
        assert client.stats(b"settings")[b"lru_crawler"] == b"no"
    with Server("-o", "no_lru_crawler") as server, server.client() as client:
        off = b"CLIENT_ERROR lru crawler disabled\r\n"
        for request in (b"crawl all", b"metadump all", b"mgdump all"):
            assert client.ask(b"lru_crawler %s\r\n" % request) == off
        assert client.ask(b"lru_crawler enable\r\n") == b"OK\r\n"
        assert client.stats(b"settings")[b"lru_crawler"] == b"yes"
        assert metadump(client) == {}
        assert client.ask(b"lru_crawler enable\r\n") == b"ERROR failed to start lru crawler thread\r\n"
        assert client.ask(b"lru_crawler disable\r\n") == b"OK\r\n"
        assert client.ask(b"lru_crawler metadump all\r\n") == off


if __name__ == "__main__":
    main()
