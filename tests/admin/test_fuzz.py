"""Requests bent at random, from a fixed seed: whatever comes, the daemon answers the next client and keeps the data."""

import random

SEED, ROUNDS = 20261120, 1500
WORDS = [b"GET", b"PUT", b"HTTP/1.1", b"Host", b"Content-Length", b"Transfer-Encoding", b"chunked", b"\r\n", b"\r\n\r\n", b"\n",
         b":", b" ", b"\0", b"%00", b"%", b"?", b"&", b"=", b"/api/v1/keys/", b"/value", b"cursor=", b"match=*", b"offset=",
         b"18446744073709551616", b"-1", b"0", b"{", b'"', b"\\u0000", b"\xff", b"A" * 300, b"Expect: 100-continue\r\n",
         b"Upgrade: websocket\r\n", b"Range: bytes=0-\r\n", b"Cookie: a=b; c\r\n", b"Connection: close, keep-alive\r\n"]


def seeds(host):
    body = b'{"value":"v","ttl":5}'
    return [b"GET /api/v1/keys?limit=5&match=*a HTTP/1.1\r\nHost: " + host + b"\r\n\r\n",
            b"PUT /api/v1/keys/k HTTP/1.1\r\nHost: " + host + b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % len(body) + body,
            b"PATCH /api/v1/keys/k?enc=b64url HTTP/1.1\r\nHost: " + host + b"\r\nContent-Type: application/json\r\n"
            b'Transfer-Encoding: chunked\r\n\r\n9\r\n{"ttl":1}\r\n0\r\n\r\n',
            b"GET /api/v1/keys/k/value?as=hex&offset=1&length=2 HTTP/1.1\r\nHost: " + host + b'\r\nIf-None-Match: "1"\r\n\r\n',
            b"GET /metrics HTTP/1.1\r\nHost: " + host + b"\r\nAccept: text/plain;q=0.5\r\nAccept-Encoding: gzip;q=1\r\n\r\n",
            b"GET /api/v1/history?metric=gets&from=1&to=2&step=10 HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"]


def bend(data, chance):
    data = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(4)
        if kind == 0 and at < len(data):
            data[at] = chance.randrange(256)
        elif kind == 1:
            data[at:at] = chance.choice(WORDS)
        elif kind == 2:
            del data[at:at + chance.randint(1, 20)]
        else:
            data[at:at] = data[chance.randrange(len(data) + 1):][:40]
    return bytes(data)


def test_bent_requests_harm_nobody(server):
    chance = random.Random(SEED)
    server.set(b"untouched", b"kept")
    whole = seeds(server.host().encode())
    for i in range(ROUNDS):
        data = b"".join(bend(chance.choice(whole), chance) for _ in range(chance.randint(1, 3)))
        with server.connect() as connection:
            try:
                connection.sendall(data)
                connection.settimeout(0.01 if i % 50 else 1)
                connection.recv(65536)
            except OSError:
                pass
    assert server.get("/livez").status == 200
    assert server.command(b"get untouched\r\n", b"END\r\n") == b"VALUE untouched 0 4\r\nkept\r\nEND\r\n"
