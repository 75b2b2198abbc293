"""Handshakes that are cut, slow, wrong or never end: they cost bounded memory, are counted, and hold up nobody."""
import random
import socket
import ssl
import threading

from common import SecureClient, Wire, connect, context, main, path, refused, secure, VERSIONS
from harness import PATIENCE_S, SANITIZED, Client, Server, eventually

QUICK = "ssl_handshake_timeout=5"
CROWD = 50 if SANITIZED else 500


def number(server, name):
    with connect(server) as client:
        return client.number(name)


def settled(server):
    """Waits until nobody but the asker is connected."""
    eventually(lambda: number(server, b"curr_connections") == 1, "all are closed")


def flights(server, version):
    """The client's flights of one handshake, as bytes, of a connection that is then thrown away."""
    said = []
    with Wire(server.address(), context(version)) as wire:
        wire.shake_hands(lambda flight: (said.append(flight), wire.socket.sendall(flight)))
    return said


def test_a_handshake_cut_off_at_any_byte_is_forgotten():
    with secure() as server:
        files = server.files_open()
        for version in VERSIONS:
            hello = flights(server, version)[0]
            before = number(server, b"ssl_handshake_errors")
            for size in range(len(hello)):
                with Client(server.address()) as client:
                    client.send(hello[:size])
            settled(server)
            # who leaves without a word (a check of health) made no error
            assert number(server, b"ssl_handshake_errors") == before + len(hello) - 1
        eventually(lambda: server.files_open() == files, "all are closed")


def test_a_second_flight_cut_off_at_any_byte_is_forgotten():
    with secure() as server:
        for version in VERSIONS:
            longest = max(map(len, flights(server, version)[1:]))
            for size in range(longest):
                with Wire(server.address(), context(version)) as wire:
                    wire.socket.sendall(wire.handshake_bytes())
                    while not (flight := wire.handshake_bytes()):
                        wire.hear()
                    wire.socket.sendall(flight[:size])
        settled(server)


def test_a_handshake_in_two_pieces_cut_at_any_byte_succeeds():
    with secure() as server:
        for version in VERSIONS:
            longest = max(map(len, flights(server, version)))
            for size in range(1, longest):
                with Wire(server.address(), context(version)) as wire:
                    wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

                    def in_two(flight):
                        wire.socket.sendall(flight[:size])
                        wire.socket.sendall(flight[size:])
                    wire.shake_hands(in_two)
                    wire.socket.sendall(wire.record(b"get a\r\n"))
                    assert wire.read(5) == b"END\r\n"
        settled(server)
        assert number(server, b"ssl_handshake_errors") == 0


def test_a_handshake_byte_by_byte_with_its_first_request_succeeds():
    with secure() as server:
        for version in VERSIONS:
            with Wire(server.address(), context(version)) as wire:
                wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                wire.shake_hands(lambda flight: [wire.socket.sendall(flight[i:i + 1]) for i in range(len(flight))])
                wire.socket.sendall(wire.record(b"get a\r\n"))
                assert wire.read(5) == b"END\r\n"


def test_a_request_behind_the_last_flight_is_answered_at_once():
    with secure() as server:
        for _ in range(20):
            with Wire(server.address(), context(ssl.TLSVersion.TLSv1_3)) as wire:
                wire.socket.sendall(wire.handshake_bytes())
                while not (flight := wire.handshake_bytes()):
                    wire.hear()
                wire.socket.sendall(flight + wire.record(b"get a\r\nget b\r\n"))
                assert wire.read(10) == b"END\r\nEND\r\n"


def test_handshakes_that_never_end_are_closed_in_time():
    with secure("-o", QUICK, "-t", "2") as server:
        hello = flights(server, None)[0]
        with connect(server) as served:
            silent = [Client(server.address()) for _ in range(20)]
            halting = [Client(server.address()).send(hello[:100]) for _ in range(20)]
            answered = [Client(server.address()).send(hello) for _ in range(20)]
            stop = threading.Event()
            dribbler = threading.Thread(target=dribble, args=(server, hello, stop))
            dribbler.start()
            for client in silent + halting:
                assert client.to_end() == b""
            for client in answered:
                client.to_end()
            stop.set()
            dribbler.join()
            assert served.ask(b"get a\r\n") == b"END\r\n"  # who is through is served on
            eventually(lambda: served.number(b"ssl_handshake_errors") == 61, "each is counted")
            for client in silent + halting + answered:
                client.__exit__()


def dribble(server, hello, stop):
    """A byte at a time: every byte is life, and yet it ends."""
    with Client(server.address()) as client:
        for byte in hello:
            try:
                client.send(bytes([byte]))
            except OSError:
                return
            client.socket.settimeout(0.02)
            try:
                if not client.fill():
                    return
            except TimeoutError:
                pass
            except OSError:
                return
        stop.wait(PATIENCE_S)


def test_unfinished_handshakes_hold_little_memory():
    with secure("-c", "2000", "-t", "1", weighed=True) as server:
        hello = flights(server, None)[0]
        before = server.rss_beside_store()
        clients = [Client(server.address()).send(hello) for _ in range(CROWD)]
        for client in clients:
            client.exact(100)  # the server's own flight: it has done what it can do
        grown = (server.rss_beside_store() - before) / len(clients)
        for client in clients:
            client.__exit__()
        print(f"     {grown / 1024:.1f} KiB for a handshake under way")
        assert SANITIZED or grown < 64 << 10, grown


def test_idle_connections_hold_little_memory():
    with secure("-c", "2000", "-t", "1", weighed=True) as server:
        with connect(server) as first:
            fetch(first)
            before = server.rss_beside_store()
            clients = [connect(server) for _ in range(CROWD)]
            for client in clients:
                fetch(client)
            grown = (server.rss_beside_store() - before) / len(clients)
            for client in clients:
                client.__exit__()
        print(f"     {grown / 1024:.1f} KiB for an idle connection")
        assert SANITIZED or grown < 24 << 10, grown


def fetch(client):
    client.store(b"a", b"v" * 1000)
    assert client.ask(b"get a\r\n", b"END\r\n") == b"VALUE a 0 1000\r\n" + b"v" * 1000 + b"\r\nEND\r\n"


# ---- who speaks something else


def test_other_protocols_on_a_tls_port_are_closed_counted_and_not_logged():
    said = [b"get foo\r\n", b"version\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x80\x0b" + bytes(22), b"\r\n" * 10,
            b"\x16\x03\x01\xff\xff" + bytes(100), b"\x15\x03\x03\x00\x02\x02\x28", b"\x17\x03\x03\x00\x10" + bytes(16),
            b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", b"\x80\x2e\x01\x00\x02" + bytes(50)]
    chance = random.Random(1)
    said += [bytes([chance.choice((0x14, 0x15, 0x17, 0x47))]) + chance.randbytes(200) for _ in range(50)]
    with secure() as server:
        quiet = server.log_text()
        for i, data in enumerate(said):
            with Client(server.address()) as client:
                answer = client.send(data).to_end()
                assert len(answer) in (0, 7) and answer[:1] in (b"", b"\x15"), (data, answer)  # an alert at most
            eventually(lambda: number(server, b"ssl_handshake_errors") == i + 1, f"{data!r} is counted")
        assert server.log_text() == quiet


def test_a_handshake_with_any_byte_changed_ends_cleanly():
    with secure() as server:
        hello = flights(server, None)[0]
        for at in range(len(hello)):
            with Client(server.address()) as client:
                client.send(hello[:at] + bytes([hello[at] ^ 0xff]) + hello[at + 1:])
                client.socket.shutdown(socket.SHUT_WR)
                client.to_end()
        settled(server)


def test_tls_on_a_plain_port_is_closed_at_once():
    with Server() as server:
        for _ in range(20):  # some hellos have a line's end in them, most have not
            assert refused(server)
        assert server.log_text().count("\n") <= 2
        with server.client() as client:
            assert client.ask(b"get a\r\n") == b"END\r\n"


# ---- listeners


def test_notls_keeps_one_address_plain():
    with secure(listen=("-l", "notls:127.0.0.1:0,127.0.0.1:0")) as server:
        with Client(server.address(0)) as plain:
            plain.store(b"a", b"v")
        with SecureClient(server.address(1)) as secret:
            assert secret.ask(b"get a\r\n", b"END\r\n") == b"VALUE a 0 1\r\nv\r\nEND\r\n"


def test_unix_sockets_stay_plain():
    with secure(listen=("-s", path("plain"))), Client(path("plain")) as client:
        client.store(b"a", b"v")
        assert client.stats(b"settings")[b"ssl_enabled"] == b"yes"


if __name__ == "__main__":
    main()
