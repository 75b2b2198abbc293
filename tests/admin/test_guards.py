"""Framing, byte by byte: what an HTTP reader must not let through, whatever path it is for."""

import socket

INNER = b"DELETE /api/v1/keys/victim HTTP/1.1\r\nHost: %s\r\n\r\n"


def head(server, *lines, method="PUT", target="/api/v1/keys/smuggled"):
    host = server.host()
    text = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    return text.encode() + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def statuses(server, data):
    return [answer.status for answer in server.raw_all(data)]


def inner(server):
    return INNER % server.host().encode()


def test_lengths_that_disagree_run_nothing(server):
    server.set(b"victim", b"v")
    request = inner(server)
    twice = head(server, b"Content-Length: 0", b"Content-Length: %d" % len(request)) + request
    same = head(server, b"Content-Length: 2", b"Content-Length: 2") + b"{}" + request
    both = head(server, b"Content-Length: 4", b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + request
    swapped = head(server, b"Transfer-Encoding: chunked", b"Content-Length: 4") + b"0\r\n\r\n" + request
    lists = head(server, b"Content-Length: 2, 2") + b"{}" + request
    for data in (twice, same, both, swapped, lists):
        assert statuses(server, data) == [400], (data[:200], statuses(server, data))
    assert server.get("/api/v1/keys/victim").status == 200


def test_other_codings_are_refused_at_once(server):
    server.set(b"victim", b"v")
    for coding in (b"xchunked", b"gzip, chunked", b"chunked, chunked", b"identity", b"chunked;x=1", b""):
        got = statuses(server, head(server, b"Transfer-Encoding: " + coding) + inner(server))
        assert got in ([501], [400]), (coding, got)
    assert server.get("/api/v1/keys/victim").status == 200


def test_lengths_that_are_none(server):
    for length in (b"-1", b"+4", b"4x", b"0x4", b" ", b"1 1", b"4,4", b"9" * 23):
        got = statuses(server, head(server, b"Content-Length: " + length) + b"{}{}")
        assert got in ([400], [413]), (length, got)


def test_bodies_over_64_kib_are_refused_before_they_come(server):
    for length in (65537, 1 << 30, (1 << 63) - 1):
        assert statuses(server, head(server, b"Content-Length: %d" % length)) == [413], length
    fits = b'{"value":"' + b"x" * (65536 - 12) + b'"}'
    assert statuses(server, head(server, b"Content-Length: %d" % len(fits)) + fits) in ([200], [201])


def test_endless_chunks_are_cut_off(server):
    with server.connect() as connection:
        connection.sendall(head(server, b"Transfer-Encoding: chunked"))
        sent = 0
        try:
            while sent < 64 << 20:
                sent += connection.send(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
        except OSError:
            pass
        assert sent < 8 << 20, sent
    just_over = b"".join(b"4000\r\n" + b"x" * 0x4000 + b"\r\n" for _ in range(5)) + b"0\r\n\r\n"
    assert statuses(server, head(server, b"Transfer-Encoding: chunked") + just_over) == [413]


def test_chunked_bodies_are_read(server):
    body = b"9\r\n" + b'{"value":' + b"\r\n4;x=y\r\n" + b'"v"}' + b"\r\n0\r\n\r\n"
    assert statuses(server, head(server, b"Transfer-Encoding: chunked") + body) in ([200], [201])
    assert server.get_json("/api/v1/keys/smuggled/value")["value"] == "v"
    for size in (b"-2", b"fffffffffffffffff", b"0x4", b"4 4", b""):
        got = statuses(server, head(server, b"Transfer-Encoding: chunked") + size + b"\r\n{}\r\n0\r\n\r\n")
        assert not any(status < 400 for status in got), (size, got)


def test_host_must_stand_once(server):
    host = server.host().encode()
    line = b"GET /livez HTTP/1.1\r\n"
    for fields in (b"", b"Host: " + host + b"\r\nHost: " + host + b"\r\n", b"Host: " + host + b"\r\nhost: evil\r\n"):
        assert statuses(server, line + fields + b"\r\n") == [400], fields
    for fields in (b"Host: \r\n", b"Host:\r\n", b"Host: " + host + b", evil\r\n", b"Host: " + host + b"@evil\r\n"):
        assert statuses(server, line + fields + b"\r\n") in ([421], [400]), fields
    assert statuses(server, b"GET /livez HTTP/1.0\r\n\r\n") == [400]


def test_malformed_fields_are_refused(server):
    host = b"Host: " + server.host().encode() + b"\r\n"
    line = b"GET /livez HTTP/1.1\r\n"
    for fields in (b"Host : x\r\n" + host, host + b"X Y: 1\r\n", host + b"X : 1\r\n", host + b"X: a\x00b\r\nY: 1\r\n",
                   host + b"X: a\x01b\r\n", host + b"X: a\x7fb\r\n", host + b"X: a\r\n folded\r\n",
                   host + b"X: a\rb\r\n", host + b"X: 1\nY: 2\r\n", host + b": empty\r\n", host + b"no colon\r\n",
                   host + b"X(: 1\r\n", host + b"\x80: 1\r\n", b"Host: " + server.host().encode() + b"\x00evil\r\nY: 1\r\n"):
        got = statuses(server, line + fields + b"\r\n")
        assert got in ([400], []), (fields, got)


def test_other_versions_are_refused(server):
    for version in (b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.2", b"http/1.1", b"HTTP/1.1x", b"HTTPS/1.1", b""):
        got = statuses(server, b"GET /livez " + version + b"\r\nHost: " + server.host().encode() + b"\r\n\r\n")
        assert not any(status < 400 for status in got), (version, got)


def test_oversized_heads_are_refused(server):
    host = server.host().encode()
    cases = {
        b"GET /" + b"a" * 65536 + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n": {414, 431},
        b"GET /livez HTTP/1.1\r\nHost: " + host + b"\r\nX: " + b"a" * 65536 + b"\r\n\r\n": {431, 413},
        b"GET /livez HTTP/1.1\r\nHost: " + host + b"\r\n" + b"X: a\r\n" * 10000 + b"\r\n": {431, 413},
    }
    before = server.rss()
    for data, expected in cases.items():
        for _ in range(20):
            with server.connect() as connection:
                try:
                    connection.sendall(data)
                    status = connection.recv(100)[9:12]
                except ConnectionError:
                    continue
                assert not status or int(status) in expected, (data[:30], status)
    assert server.rss() - before < 1 << 20, server.rss() - before


def test_bodies_where_none_is_taken_are_refused(server):
    server.set(b"victim", b"v")
    data = head(server, b"Content-Length: 2", method="DELETE", target="/api/v1/keys/victim") + b"{}"
    assert statuses(server, data) == [400]
    assert statuses(server, head(server, b"Content-Length: 2", method="GET", target="/livez") + b"{}") == [400]
    assert server.get("/api/v1/keys/victim").status == 200


def test_refusals_before_a_body_end_the_connection(server):
    server.set(b"victim", b"v")
    request = inner(server)
    for target in ("/nowhere/x", "/livez", "/api/v1/keys/%zz"):
        got = statuses(server, head(server, b"Content-Length: %d" % len(request), target=target) + request)
        assert len(got) == 1 and got[0] >= 400, (target, got)
    assert server.get("/api/v1/keys/victim").status == 200


def test_connections_are_kept_between_plain_requests(server):
    one = f"GET /livez HTTP/1.1\r\nHost: {server.host()}\r\n\r\n".encode()
    lost = f"GET /nowhere/x HTTP/1.1\r\nHost: {server.host()}\r\n\r\n".encode()
    assert statuses(server, one + lost + one) == [200, 404, 200]


def test_memcached_and_noise_on_the_admin_port(server):
    server.set(b"a", b"kept")
    for data in (b"set a 0 0 1\r\nx\r\n", b"flush_all\r\n", b"\x80\x01\x00\x00" + b"\0" * 20 + b"\r\n\r\n",
                 b"\x89PNG\r\n\x1a\n\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET\r\n\r\n", b" \r\n\r\n",
                 b"\x00" * 100 + b"\r\n\r\n", bytes(range(256)) * 8 + b"\r\n\r\n"):
        got = statuses(server, data)
        assert not any(status < 400 for status in got), (data[:20], got)
    assert server.command(b"get a\r\n", b"END\r\n") == b"VALUE a 0 4\r\nkept\r\nEND\r\n"


def test_half_a_request_and_nothing_more(server):
    for part in (b"", b"G", b"GET /livez HTTP/1.1\r\n", b"GET /livez HTTP/1.1\r\nHost: "):
        with server.connect() as connection:
            connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
    assert server.get("/livez").status == 200
