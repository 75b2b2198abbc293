"""What watchers are told: beside the installed memcached, line by line, and what only 1.6.45 and Vitrine tell."""
import socket

from harness import Client, Server, eventually, main
from lines import Watcher, memcached

LAST = b"get the:end\r\n"
# One command after the other: (request, the end of its reply).
COMMANDS = [(b"set a 0 0 2\r\nhi\r\n", b"\r\n"), (b"get a b\r\n", b"END\r\n"), (b"set a 0 100 3\r\nhi2\r\n", b"\r\n"),
            (b"append a 0 0 2\r\nxx\r\n", b"\r\n"), (b"prepend a 0 0 1\r\ny\r\n", b"\r\n"), (b"append none 0 0 1\r\nx\r\n", b"\r\n"),
            (b"add a 0 0 1\r\nx\r\n", b"\r\n"), (b"add fresh 0 60 1\r\nx\r\n", b"\r\n"), (b"cas a 0 0 1 99\r\nx\r\n", b"\r\n"),
            (b"cas none 0 0 1 99\r\nx\r\n", b"\r\n"), (b"replace none 0 0 1\r\n1\r\n", b"\r\n"),
            (b"replace a 5 0 1\r\n1\r\n", b"\r\n"), (b"set n 0 0 1\r\n1\r\n", b"\r\n"), (b"incr n 1\r\n", b"\r\n"),
            (b"incr none 1\r\n", b"\r\n"), (b"decr n 1\r\n", b"\r\n"), (b"touch n 0\r\n", b"\r\n"), (b"touch none 0\r\n", b"\r\n"),
            (b"gat 10 a n none\r\n", b"END\r\n"), (b"gets a\r\n", b"END\r\n"), (b"gats 0 a\r\n", b"END\r\n"),
            (b"delete n\r\n", b"\r\n"), (b"delete n\r\n", b"\r\n"), (b"set past 0 -1 1\r\nx\r\n", b"\r\n"), (b"get past\r\n", b"END\r\n"),
            (b"set %s,100%%/ 0 0 0\r\n\r\n" % ("k\u00e9y".encode()), b"\r\n"),
            (b"set quiet 0 0 1 noreply\r\nx\r\nversion\r\n", b"\r\n"), (b"set %s 0 0 1\r\nx\r\n" % (b"#" * 250), b"\r\n"),
            (b"version\r\n", b"\r\n"),
            (b"flush_all\r\n", b"\r\n"), (b"get a\r\n", b"END\r\n")]


def told(address, *streams):
    """What a watcher is told of COMMANDS, without times, numbers and descriptors; a class is none, or one."""
    with Watcher(address, *streams) as watcher, Client(address) as client:
        for request, end in COMMANDS:
            client.ask(request, end)
        client.send(b"quit\r\n").to_end()
        with Client(address) as last:
            last.ask(LAST, b"END\r\n")
            events = watcher.events_until(lambda event: event.get(b"key") == b"the%3Aend")
    return [normal(event) for event in events]


def normal(event):
    event = {name: value for name, value in event.items() if name not in (b"ts", b"gid", b"cfd")}
    if b"clsid" in event:
        event[b"clsid"] = b"0" if event[b"clsid"] == b"0" else b"1"
    # Where an expiry was born past, it is as far past as the server is old.
    if int(event.get(b"ttl", 0)) > 1 << 31:
        event[b"ttl"] = b"past"
    return event


def compare(*streams):
    # Its maintainer may take away what has expired before it is asked for: it is missing then.
    with Server("-t", "1", "-m", "64") as ours, memcached("-o", "no_lru_maintainer") as theirs:
        ours_told, theirs_told = told(ours.address(), *streams), told(("127.0.0.1", theirs.port), *streams)
    for number, (one, other) in enumerate(zip(ours_told, theirs_told)):
        assert one == other, f"line {number}: {one} and memcached {other}"
    assert len(ours_told) == len(theirs_told), (len(ours_told), len(theirs_told))


def test_fetches_and_stores_are_told_as_memcached_tells_them():
    compare(b"fetchers", b"mutations")


def test_fetches_alone_are_told_as_memcached_tells_them():
    compare(b"fetchers")


def test_without_a_word_fetches_are_told():
    with Server("-t", "1") as server, Watcher(server.address()) as watcher, server.client() as client:
        client.store(b"a", b"1")
        client.ask(b"get a\r\n", b"END\r\n")
        assert [watcher.event()[b"type"] for _ in range(2)] == [b"item_get"] * 2


def test_only_the_streams_asked_for_are_told():
    with Server("-t", "2") as server, Watcher(server.address(), b"deletions") as deletions:
        with Watcher(server.address(), b"mutations", b"mutations") as mutations, server.client() as client:
            for _ in range(3):
                client.store(b"a", b"1")
                client.ask(b"get a\r\n", b"END\r\n")
            client.ask(b"delete a\r\n")
            client.store(b"b", b"1")
            assert [mutations.event()[b"key"] for _ in range(4)] == [b"a", b"a", b"a", b"b"]
            event = deletions.event()
            assert (event[b"type"], event[b"key"], event[b"cmd"], event[b"size"]) == (b"deleted", b"a", b"delete", b"1")


def test_a_deletion_that_finds_nothing_is_none():
    with Server() as server, Watcher(server.address(), b"deletions") as watcher, server.client() as client:
        client.ask(b"delete none\r\n")
        client.store(b"a", b"12345")
        client.ask(b"delete a\r\n")
        assert watcher.event()[b"key"] == b"a"


def closings(address):
    """How connections end, in the order of the reasons: quit, the client leaves, it speaks HTTP."""
    reasons = []
    with Watcher(address, b"connevents") as watcher:
        for last_words in (b"version\r\nquit\r\n", b"version\r\n", b"GET / HTTP/1.1\r\n"):
            client = Client(address)
            name = client.socket.getsockname() if client.socket.family == socket.AF_INET else None
            client.send(last_words)
            if last_words == b"version\r\n":
                client.until(b"\r\n")
                client.socket.close()
            else:
                client.to_end()
                client.socket.close()
            opened, closed = watcher.event(), watcher.event()
            for event in (opened, closed):
                where = (b"127.0.0.1", b"%d" % name[1], b"tcp") if name else (b"unix", b"0", b"local")
                assert (event[b"rip"], event[b"rport"], event[b"transport"]) == where, event
            assert (opened[b"type"], closed[b"type"], opened[b"cfd"]) == (b"conn_new", b"conn_close", closed[b"cfd"])
            reasons.append(closed[b"reason"])
    return reasons


def test_connections_are_told_with_where_they_come_from_and_why_they_end():
    with Server("-t", "1") as ours, memcached() as theirs:
        assert closings(ours.address()) == closings(("127.0.0.1", theirs.port)) == [b"normal", b"normal", b"error"]


def test_connections_by_ipv6_are_told_with_their_address():
    with Server("-t", "1", listen=("-l", "[::1]:0")) as server, Watcher(server.address(), b"connevents") as watcher:
        with server.client() as client:
            event = watcher.event()
            assert (event[b"rip"], event[b"transport"]) == (b"::1", b"tcp")
            assert event[b"rport"] == b"%d" % client.socket.getsockname()[1]


def test_an_idle_client_is_told_to_be_closed_for_it():
    with Server("-t", "1", "-o", "idle_timeout=3") as server, Watcher(server.address(), b"connevents") as watcher:
        with server.client() as client:
            assert client.to_end() == b""
            assert [watcher.event()[b"type"], watcher.event()[b"reason"]] == [b"conn_new", b"idle_timeout"]


def test_the_descriptor_is_that_of_stats_conns():
    with Server("-t", "1") as server, Watcher(server.address(), b"fetchers", b"mutations") as watcher:
        with server.client() as client:
            name = b"tcp:127.0.0.1:%d" % client.socket.getsockname()[1]
            fd = next(line.split(b":")[0] for line, value in client.stats(b"conns").items()
                      if line.endswith(b":addr") and value == name)
            client.store(b"a", b"1")
            assert [watcher.event()[b"cfd"] for _ in range(2)] == [fd, fd]


def test_evictions_are_told_with_what_was_lost():
    with Server("-t", "1", "-m", "8") as server, Watcher(server.address(), b"evictions") as watcher, server.client() as client:
        client.ask(b"set first 0 0 1000\r\n%s\r\n" % (b"x" * 1000))
        value = b"y" * 1000
        for begin in range(0, 16000, 100):
            client.send(b"".join(b"set k%d 0 5000 1000 noreply\r\n%s\r\n" % (begin + i, value) for i in range(100)))
        client.ask(b"version\r\n")
        event = watcher.event()
        assert event[b"type"] == b"eviction" and event[b"size"] == b"1000" and event[b"fetch"] == b"no", event
        assert event[b"ttl"] == b"-1" or 4000 < int(event[b"ttl"]) <= 5000, event
        assert 0 <= int(event[b"la"]) < 1000 and int(event[b"clsid"]) > 0
        skipped = int(client.stats()[b"evictions"])
        assert skipped > 0


def test_numbers_rise_and_times_do_not_fall():
    with Server("-t", "4") as server, Watcher(server.address(), b"fetchers") as watcher:
        clients = [server.client() for _ in range(8)]
        for number in range(40):
            for client in clients:
                client.ask(b"get %d\r\n" % number, b"END\r\n")
        events = [watcher.event() for _ in range(320)]
        gids, times = [event[b"gid"] for event in events], [event[b"ts"] for event in events]
        assert gids == sorted(set(gids))
        # Of one thread's events none overtakes another; those of two are merged as far as they were there.
        for fd in {event[b"cfd"] for event in events}:
            own = [event[b"ts"] for event in events if event[b"cfd"] == fd]
            assert own == sorted(own)
        assert max(times) - min(times) < 60
        for client in clients:
            client.socket.close()


def test_meta_commands_are_told_too():
    with Server("-t", "1") as server, server.client() as client:
        with Watcher(server.address(), b"fetchers", b"mutations", b"deletions") as watcher:
            for request in (b"ms m 2 ME\r\nhi", b"ms m 1 MA\r\n!", b"mg m v", b"mg none", b"ma none", b"me m", b"md m", b"md m", b"ms YWJj 1 b\r\nx"):
                client.ask(request + b"\r\n")
            client.ask(LAST, b"END\r\n")
            events = watcher.events_until(lambda event: event[b"key"] == b"the%3Aend")
    told = [tuple(event[name] for name in (b"type", b"key", b"status", b"cmd", b"size") if name in event) for event in events]
    assert told == [(b"item_get", b"m", b"not_found", b"0"), (b"item_store", b"m", b"stored", b"add", b"2"),
                    (b"item_get", b"m", b"found", b"2"), (b"item_store", b"m", b"stored", b"append", b"3"),
                    (b"item_get", b"m", b"found", b"3"), (b"item_get", b"none", b"not_found", b"0"),
                    (b"item_get", b"none", b"not_found", b"0"), (b"item_get", b"m", b"found", b"3"),
                    (b"item_get", b"m", b"found", b"3"), (b"deleted", b"m", b"md", b"3"), (b"item_get", b"m", b"not_found", b"0"),
                    (b"item_get", b"abc", b"not_found", b"0"), (b"item_store", b"abc", b"stored", b"set", b"1"),
                    (b"item_get", b"the%3Aend", b"not_found", b"0")], told


def test_a_large_value_received_apart_is_told_once():
    with Server("-t", "1") as server, Watcher(server.address(), b"mutations") as watcher, server.client() as client:
        client.store(b"big", b"x" * 500000)
        client.ask(b"set huge 0 0 1200000\r\n%s\r\n" % (b"x" * 1200000))
        one, other = watcher.event(), watcher.event()
        assert (one[b"key"], one[b"status"], one[b"size"]) == (b"big", b"stored", b"500000")
        assert (other[b"key"], other[b"status"], other[b"size"]) == (b"huge", b"too_large", b"0")


def test_every_stream_costs_nothing_once_the_watcher_has_gone():
    with Server("-t", "1") as server, server.client() as client:
        with Watcher(server.address(), b"fetchers", b"mutations", b"evictions", b"connevents", b"deletions"):
            client.store(b"a", b"1")
        eventually(lambda: client.number(b"log_watchers") == 0, "the watcher is forgotten")

        def quiet():
            before = client.number(b"log_worker_written")
            client.ask(b"get a\r\n", b"END\r\n")
            return client.number(b"log_worker_written") == before

        eventually(quiet, "nothing is kept any more")


if __name__ == "__main__":
    main()
