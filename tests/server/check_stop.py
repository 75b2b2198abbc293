"""The end: signals, `shutdown`, and what clients have received when it comes."""
import os
import signal
import socket
import tempfile
import threading
import time

from harness import PATIENCE_S, Client, Server, alive, eventually, main

KEYS = 40
VALUE = b"v" * 500
REPLY = b"".join(b"VALUE k%d 0 500\r\n%s\r\n" % (i, VALUE) for i in range(KEYS)) + b"END\r\n"
REQUEST = b"get " + b" ".join(b"k%d" % i for i in range(KEYS)) + b"\r\n"


class Load(threading.Thread):
    """Asks without pause until the server is gone; keeps only what came after the last whole reply."""

    def __init__(self, server, depth):
        super().__init__(daemon=True)
        self.client, self.depth, self.whole, self.rest = server.client(), depth, 0, b""

    def run(self):
        try:
            while True:
                self.client.send(REQUEST * self.depth)
                self.receive(self.depth)
        except (OSError, EOFError):
            self.drain()

    def receive(self, count):
        while count > 0:
            data = self.client.socket.recv(1 << 16)
            if not data:
                raise EOFError
            self.rest += data
            replies = len(self.rest) // len(REPLY)
            assert self.rest[:replies * len(REPLY)] == REPLY * replies
            self.rest = self.rest[replies * len(REPLY):]
            self.whole += replies
            count -= replies

    def drain(self):
        try:
            self.receive(1 << 60)
        except (OSError, EOFError):
            pass


def end_under_load(server, number):
    with server.client() as client:
        for i in range(KEYS):
            client.store(b"k%d" % i, VALUE)
    loads = [Load(server, depth) for depth in (1, 1, 2, 5, 20, 1, 3, 10)]
    for load in loads:
        load.start()
    eventually(lambda: all(load.whole > 20 for load in loads), "the load runs")
    begin = time.monotonic()
    os.kill(server.pid, number)
    code = server.process.wait(PATIENCE_S)
    took = time.monotonic() - begin
    for load in loads:
        load.join(PATIENCE_S)
    return code, took, loads


def test_sigterm_under_load_ends_soon_and_between_replies():
    """The machine may hold up an end, but hardly five of them: what the server needs shows in the shortest."""
    times = []
    for _ in range(5):
        with Server("-t", "2") as server:
            code, took, loads = end_under_load(server, signal.SIGTERM)
            times.append(took)
            assert code == 0, code
            assert all(load.rest == b"" for load in loads), [load.rest[-100:] for load in loads]
    print(f"     ended {1000 * min(times):.0f} to {1000 * max(times):.0f} ms after the signal (goal 300)")
    assert min(times) < 2, times


def test_sigint_ends_it_just_as_well():
    with Server("-t", "1") as server:
        code, took, loads = end_under_load(server, signal.SIGINT)
        assert code == 0 and all(load.rest == b"" for load in loads)


def test_a_thousand_idle_connections_do_not_hold_up_the_end():
    with Server("-c", "1100") as server:
        clients = [server.client() for _ in range(1000)]
        eventually(lambda: int(server.stats()[b"total_connections"]) >= 1000, "all are accepted")
        begin = time.monotonic()
        server.process.terminate()
        assert server.process.wait(PATIENCE_S) == 0
        print(f"     ended {1000 * (time.monotonic() - begin):.0f} ms after the signal (goal 300)")
        assert all(client.to_end() == b"" for client in clients)


def end_beside_a_stuck_client():
    """The seconds that an end takes while a client reads nothing of its replies."""
    with Server() as server, server.client() as other, server.client() as stuck:
        other.store(b"big", b"b" * 900000)
        stuck.socket.setblocking(False)
        try:
            stuck.socket.send(b"get big\r\n" * 1000)
        except BlockingIOError:
            pass
        eventually(lambda: b"conn_mwrite" in other.ask(b"stats conns\r\n", b"END\r\n"), "it is stuck")
        begin = time.monotonic()
        server.process.terminate()
        assert server.process.wait(PATIENCE_S) == 0
        return time.monotonic() - begin


def test_a_client_that_does_not_read_cannot_hold_up_the_end():
    """The shortest of three, as above."""
    took = min(end_beside_a_stuck_client() for _ in range(3))
    print(f"     ended {1000 * took:.0f} ms after the signal (goal 300)")
    assert took < 2


def stop_while_a_reply_is_under_way():
    """What a client gets that reads only once the server stops, and how long that took. A Unix socket's buffer is a
    fraction of the value, so that most of the reply is still the server's to send."""
    value = b"b" * 1000000
    whole = b"VALUE big 0 1000000\r\n" + value + b"\r\nEND\r\n"
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        path = os.path.join(folder, "socket")
        with Server("-s", path, "-u", "root", listen=()) as server, Client(path) as slow, Client(path) as other:
            other.store(b"big", value)
            slow.send(b"get big\r\n" * 3)
            eventually(lambda: b"conn_mwrite" in other.ask(b"stats conns\r\n", b"END\r\n"), "the reply is under way")
            begin = time.monotonic()
            server.process.terminate()
            answer = slow.to_end()
            took = time.monotonic() - begin
            server.process.wait(PATIENCE_S)  # a second signal would end it at once
            return answer, whole, took


def test_a_slow_reader_gets_its_last_reply_whole():
    """A client that takes longer than the server waits (150 ms) proves nothing: then once more."""
    for _ in range(50):
        answer, whole, took = stop_while_a_reply_is_under_way()
        if took < 0.14:
            assert len(answer) >= len(whole) and answer == whole * (len(answer) // len(whole)), len(answer)
            return
    raise AssertionError("1 MB was never read in 0.14 s")


def test_a_signal_in_the_first_moment_ends_it_in_order():
    for _ in range(10):
        with Server() as server:
            server.process.terminate()
            assert server.process.wait(PATIENCE_S) == 0


def test_a_second_signal_does_not_wait():
    """For the client that holds up the first one. (0: the server was done before the second came.)"""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        path = os.path.join(folder, "socket")
        with Server("-s", path, "-u", "root", listen=(), codes=(0, -signal.SIGTERM)) as server, \
                Client(path) as stuck, Client(path) as other:
            other.store(b"big", b"b" * 1000000)
            stuck.send(b"get big\r\n")
            eventually(lambda: b"conn_mwrite" in other.ask(b"stats conns\r\n", b"END\r\n"), "it is stuck")
            server.process.terminate()
            time.sleep(0.02)
            server.process.terminate()
            server.process.wait(PATIENCE_S)


def test_sighup_is_noted_and_changes_nothing():
    with Server() as server, server.client() as client:
        os.kill(server.pid, signal.SIGHUP)
        eventually(lambda: "SIGHUP ignored" in server.log_text(), "it is logged")
        assert client.ask(b"version\r\n").startswith(b"VERSION ")


def test_a_client_that_hangs_up_on_a_reply_harms_nobody():
    """SIGPIPE is ignored."""
    with Server() as server, server.client() as other:
        other.store(b"big", b"b" * 900000)
        for _ in range(20):
            client = server.client()
            client.send(b"get big\r\n" * 10)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            client.socket.close()
        alive(server)


def test_shutdown_needs_its_option():
    with Server() as server:
        with server.client() as client:
            assert client.ask(b"shutdown\r\n").startswith(b"SERVER_ERROR: shutdown not enabled")
        alive(server)
    for request in (b"shutdown\r\n", b"shutdown graceful\r\n"):
        with Server("-A") as server, server.client() as client:
            client.send(request)
            assert server.process.wait(PATIENCE_S) == 0


if __name__ == "__main__":
    main()
