"""Clients that are slow, many or greedy: they are cut off, and others do not notice."""

import socket
import time

from server import eventually, is_closed, read_answer

SLOW_COUNT = 300


def livez_seconds(server):
    began = time.monotonic()
    assert server.get("/livez", timeout=30).status == 200
    return time.monotonic() - began


def test_slowloris_keeps_nobody_out(server):
    slow = []
    for _ in range(SLOW_COUNT):
        connection = server.connect()
        connection.sendall(b"GET / HTTP/1.1\r\nX-")
        slow.append(connection)
    assert livez_seconds(server) < 5
    assert server.get("/metrics").status == 200
    deadline = time.monotonic() + 12
    for connection in slow:
        assert is_closed(connection, deadline - time.monotonic())
        connection.close()
    assert server.figure("vitrine_admin_connections_cut_total") >= SLOW_COUNT


def test_a_byte_now_and_then_does_not_prolong_a_header(server):
    with server.connect() as connection:
        began = time.monotonic()
        connection.sendall(b"GET / HTTP/1.1\r\nX-")
        while not is_closed(connection, 0.5):
            assert time.monotonic() - began < 12
            try:
                connection.send(b"a")
            except OSError:
                break
        assert time.monotonic() - began > 4


def test_a_byte_now_and_then_does_not_prolong_a_body(server):
    server.set(b"kept", b"v")
    head = f"POST /api/v1/flush HTTP/1.1\r\nHost: {server.host()}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    with server.connect() as connection:
        began = time.monotonic()
        connection.sendall(head.encode())
        while not is_closed(connection, 1):
            assert time.monotonic() - began < 30
            try:
                connection.send(b" ")
            except OSError:
                break
        assert time.monotonic() - began > 10
    assert server.get("/api/v1/keys/kept").status == 200


def test_readers_that_do_not_read_hold_little(server):
    server.set_many((b"key-of-a-slow-reader:%d" % i, b"v") for i in range(3000))
    server.set(b"large", b"x" * 1000000)
    request = f"GET /api/v1/keys?limit=1000 HTTP/1.1\r\nHost: {server.host()}\r\n\r\n".encode()
    large = f"GET /api/v1/keys/large/value?as=raw HTTP/1.1\r\nHost: {server.host()}\r\n\r\n".encode()
    slow, figures = [], []
    # The first ones also touch what the server's threads work with; what each one holds is told by the others.
    for count in (30, 50):
        for i in range(count):
            connection = server.connect()
            connection.sendall((request if i % 2 else large) * 10)
            slow.append(connection)
        server.settle()
        figures.append(server.rss())
    assert figures[1] - figures[0] < 50 * (64 << 10), figures
    assert livez_seconds(server) < 5
    for connection in slow:
        connection.close()


def test_large_replies_are_bounded_together(server):
    server.set(b"large", b"x" * 1000000)
    request = f"GET /api/v1/keys/large/value?as=hex&length=262144 HTTP/1.1\r\nHost: {server.host()}\r\n\r\n".encode()
    before, slow, statuses = server.rss(), [], set()
    for _ in range(100):
        connection = server.connect()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(request * 4)
        slow.append(connection)
    for connection in slow:
        statuses.add(connection.recv(12)[9:])
    assert server.rss() - before < 24 << 20, server.rss() - before
    # On a slow machine a deadline may end a connection before its turn comes: that is no reply at all.
    assert {b"200", b"503"} <= statuses <= {b"200", b"503", b""}, statuses
    assert server.get("/metrics").status == 200
    for connection in slow:
        connection.close()
    eventually(lambda: server.raw(request).status == 200, "their memory is free again")


def test_pipelining_is_held_back(server):
    request = f"GET /api/v1/stats HTTP/1.1\r\nHost: {server.host()}\r\n\r\n".encode()
    before = server.rss()
    with server.connect() as connection:
        connection.settimeout(2)
        try:
            connection.sendall(request * 10000)
        except OSError:
            pass
        assert server.rss() - before < 2 << 20
        assert livez_seconds(server) < 5


def test_pipelined_requests_are_all_answered_in_order(server):
    lines = [f"GET /api/v1/keys/pipelined-{i} HTTP/1.1\r\nHost: {server.host()}\r\n\r\n" for i in range(200)]
    for i in range(0, 200, 2):
        server.set(b"pipelined-%d" % i, b"v")
    with server.connect() as connection, connection.makefile("rb") as stream:
        connection.sendall("".join(lines).encode())
        assert [read_answer(stream).status for _ in lines] == [200, 404] * 100


def test_many_connections_in_turn_leak_nothing(server):
    for _ in range(200):
        livez_seconds(server)
    before = server.rss()
    for _ in range(1000):
        server.raw(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    assert server.rss() - before < 1 << 20


def test_refusals_are_counted(server):
    server.settle()
    requests, refused = (server.figure(f"vitrine_admin_{name}_total") for name in ("requests", "refused"))
    server.get("/livez", Host="evil.example")
    server.get("/livez")
    assert server.figure("vitrine_admin_requests_total") == requests + 4
    assert server.figure("vitrine_admin_refused_total") == refused + 1
