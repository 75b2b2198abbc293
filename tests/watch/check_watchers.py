"""Watchers as clients: how many, how slow, how they leave, and that nobody waits for them."""
import json
import socket
import struct
import time
import urllib.request

from harness import MIB, PATIENCE_S, SANITIZED, Client, Server, alive, eventually, free_port, main
from lines import TYPES, Watcher, memcached, parse

TOO_MANY = b"WATCHER_TOO_MANY log watcher limit reached\r\n"
ALL = (b"fetchers", b"mutations", b"evictions", b"connevents", b"deletions", b"sysevents", b"rawcmds", b"proxyreqs",
       b"proxyevents", b"proxyuser")


def reset(client):
    """Leaves without a goodbye."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.socket.close()


def gets(client, count, key=b"key"):
    for begin in range(0, count, 100):
        client.send(b"get %s\r\n" % key * 100)
        for _ in range(100):
            client.until(b"END\r\n")


def test_twenty_may_watch_and_no_more():
    with Server("-t", "2") as ours, memcached() as theirs:
        for address in (ours.address(), ("127.0.0.1", theirs.port)):
            watchers = [Watcher(address, b"fetchers") for _ in range(20)]
            with Client(address) as client:
                assert client.ask(b"watch fetchers\r\n") == TOO_MANY
                assert client.ask(b"version\r\n").startswith(b"VERSION")
                eventually(lambda: client.number(b"log_watchers") == 20, "all are counted")  # by a thread of its own
                gets(client, 100)
            for watcher in watchers:
                assert [watcher.event()[b"key"] for _ in range(100)] == [b"key"] * 100
                watcher.socket.close()
            with Client(address) as client:
                eventually(lambda: client.number(b"log_watchers") == 0, "all have left")
            Watcher(address, b"fetchers").socket.close()


def test_one_who_leaves_makes_room_however_it_leaves():
    with Server("-t", "2") as server, server.client() as client:
        for turn in range(30):
            watchers = [Watcher(server.address(), *ALL) for _ in range(4)]
            gets(client, 100)
            for number, watcher in enumerate(watchers):
                if (number + turn) % 2:
                    reset(watcher)
                else:
                    watcher.socket.close()
        eventually(lambda: client.number(b"log_watchers") == 0, "all have left")
        assert client.number(b"curr_connections") >= 1
        alive(server)


def test_what_a_watcher_says_is_ignored():
    with Server("-t", "1") as server, Watcher(server.address(), b"fetchers") as watcher, server.client() as client:
        watcher.send(b"version\r\nget a\r\n" + b"x" * 100000 + b"\r\nquit\r\n")
        gets(client, 100)
        assert [watcher.event()[b"key"] for _ in range(100)] == [b"key"] * 100


def available(watcher):
    """The whole lines that have come; never waits."""
    watcher.socket.setblocking(False)
    try:
        while True:
            watcher.rest += watcher.socket.recv(1 << 20)
    except BlockingIOError:
        pass
    *lines, watcher.rest = watcher.rest.split(b"\n")
    return lines


def test_one_that_does_not_read_is_skipped_and_told_so():
    with Server("-t", "1", "-o", "watcher_logbuf_size=8") as server, server.client() as client:
        with Watcher(server.address(), b"fetchers") as watcher:
            lines = []

            def is_skipped():
                gets(client, 1000)
                return client.number(b"log_watcher_skipped") > 0

            def is_told():
                gets(client, 10)
                lines.extend(available(watcher))
                return any(line.startswith(b"skipped=") for line in lines[:-1])

            eventually(is_skipped, "its buffer and the kernel's are full")
            eventually(is_told, "it is told")
            at = next(number for number, line in enumerate(lines) if line.startswith(b"skipped="))
            assert lines[at] == b"skipped=%d" % int(lines[at].split(b"=")[1]) and int(lines[at].split(b"=")[1]) > 0
            before, behind = parse(lines[at - 1]), parse(lines[at + 1])
            missed = behind[b"gid"] - before[b"gid"] - 1
            assert missed == int(lines[at].split(b"=")[1]), (lines[at], missed)


def test_a_watcher_that_does_not_read_holds_up_nobody():
    with Server("-t", "1", "-o", "watcher_logbuf_size=4,worker_logbuf_size=1") as server, server.client() as client:
        watchers = [Watcher(server.address(), *ALL) for _ in range(20)]
        gets(client, 20000)
        before = client.stats()
        assert int(before[b"log_worker_dropped"]) + int(before[b"log_watcher_skipped"]) > 0
        assert int(before[b"log_worker_dropped"]) + int(before[b"log_worker_written"]) >= 20000
        for watcher in watchers:
            watcher.socket.close()
        alive(server)


def test_memory_is_given_back_when_nobody_watches():
    with Server("-t", "2", "-o", "watcher_logbuf_size=4096,worker_logbuf_size=4096", weighed=True) as server:
        with server.client() as client:
            gets(client, 1000)
            before = server.rss_beside_store()
            watchers = [Watcher(server.address(), b"fetchers") for _ in range(4)]
            gets(client, 20000)
            for watcher in watchers:
                watcher.socket.close()
            eventually(lambda: client.number(b"log_watchers") == 0, "all have left")
            eventually(lambda: SANITIZED or server.rss_beside_store() < before + 2 * MIB, "the buffers are gone")


def test_stats_conns_names_watchers():
    with Server("-t", "1") as server, Watcher(server.address(), b"fetchers"), server.client() as client:
        states = [value for name, value in client.stats(b"conns").items() if name.endswith(b":state")]
        assert states.count(b"conn_watch") == 1, states


def test_a_watcher_is_never_idle():
    with Server("-t", "1", "-o", "idle_timeout=3") as server, Watcher(server.address(), b"evictions") as watcher:
        with server.client() as client:
            assert client.to_end() == b""  # this one is
        with server.client() as client:
            assert client.number(b"log_watchers") == 1
            assert client.number(b"idle_kicks") == 1
        watcher.socket.setblocking(False)
        try:
            assert watcher.socket.recv(100) and False, "closed"
        except BlockingIOError:
            pass


def test_a_watcher_counts_among_the_connections():
    with Server("-t", "1", "-c", "2") as server, Watcher(server.address(), b"fetchers"), server.client() as client:
        client.ask(b"version\r\n")
        with server.client() as third:
            assert third.to_end() == b"ERROR Too many open connections\r\n"


def test_the_admin_server_ends_a_watcher():
    port = free_port()
    with Server("-t", "2", "--admin-listen", f"127.0.0.1:{port}") as server, Watcher(server.address(), b"fetchers") as watcher:
        url = f"http://127.0.0.1:{port}/api/v1/connections"
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as reply:
            rows = json.load(reply)["items"]
        found = [row["id"] for row in rows if row["state"] == "conn_watch"]
        assert len(found) == 1, rows
        order = urllib.request.Request(f"{url}/{found[0]}", method="DELETE", headers={"Origin": f"http://127.0.0.1:{port}"})
        urllib.request.urlopen(order, timeout=PATIENCE_S).close()
        assert watcher.to_end() == b""
        with server.client() as client:
            eventually(lambda: client.number(b"log_watchers") == 0, "it is forgotten")


def test_the_end_comes_soon_with_watchers_under_load():
    for _ in range(3):
        with Server("-t", "2") as server:
            watchers = [Watcher(server.address(), *ALL) for _ in range(20)]
            client = server.client()
            client.send(b"get key\r\n" * 5000)
            client.until(b"END\r\n")
            server.process.terminate()
            assert server.process.wait(PATIENCE_S) == 0
            for watcher in watchers:
                for line in watcher.to_end().split(b"\n")[:-1]:
                    kind = line.split(b"type=")[1].split(b" ")[0] if b"type=" in line else b"skipped"
                    assert kind in TYPES or kind == b"skipped", line
            client.socket.close()


def test_watching_behind_lists_of_keys_begins_when_they_are_answered():
    with Server("-t", "1") as server, server.client() as client:
        client.store(b"a", b"1")
        assert client.ask(b"get a\r\nwatch fetchers\r\n", b"OK\r\n") == b"VALUE a 0 1\r\n1\r\nEND\r\nOK\r\n"


def test_a_watcher_by_tls_or_unix_socket_is_served_alike():
    with Server("-t", "1", listen=("-s", "/tmp/vitrine-watch-%d.sock" % time.monotonic_ns())) as server:
        path = server.options[server.options.index("-s") + 1]
        with Watcher(path, b"connevents", b"fetchers") as watcher, Client(path) as client:
            client.ask(b"get a\r\n", b"END\r\n")
            opened, fetched = watcher.event(), watcher.event()
            assert (opened[b"rip"], opened[b"transport"]) == (b"unix", b"local")
            assert fetched[b"status"] == b"not_found"


def test_refused_when_told_to():
    with Server("-W") as server, server.client() as client:
        assert client.ask(b"watch fetchers\r\n") == b"CLIENT_ERROR watch commands not allowed\r\n"
        assert client.ask(b"version\r\n").startswith(b"VERSION")


def test_counts_add_up():
    with Server("-t", "1") as server, server.client() as client:
        with Watcher(server.address(), b"fetchers") as one, Watcher(server.address(), b"fetchers", b"mutations") as two:
            gets(client, 500)
            client.store(b"a", b"1")
            for watcher, count in ((one, 501), (two, 502)):
                for _ in range(count):
                    watcher.event()
            stats = client.stats()
            assert stats[b"log_worker_written"] == b"502" and stats[b"log_worker_dropped"] == b"0", stats
            assert stats[b"log_watcher_sent"] == b"1003" and stats[b"log_watcher_skipped"] == b"0", stats
            client.ask(b"stats reset\r\n")
            assert client.number(b"log_watcher_sent") == 0 and client.number(b"log_watchers") == 2


if __name__ == "__main__":
    main()
