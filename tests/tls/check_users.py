"""Users who come in by TLS: the door of -Y behind a handshake, late answers, and both kinds of files read again."""
import contextlib
import os
import signal
import tempfile
import time

from common import VERSIONS, connect, context, main, secure
from harness import eventually

FAILURE, STORED = b"CLIENT_ERROR authentication failure\r\n", b"STORED\r\n"


@contextlib.contextmanager
def guarded(*options):
    with tempfile.NamedTemporaryFile() as file:
        os.chmod(file.name, 0o644)
        file.write(b"bob:builder\n")
        file.flush()
        with secure("-Y", file.name, *options) as server:
            server.auth_path = file.name
            yield server


def token(text):
    return b"set k 0 0 %d\r\n%s\r\n" % (len(text), text)


def test_user_and_password_come_in_by_tls():
    with guarded() as server:
        for version in VERSIONS:
            with connect(server, context(version)) as client:
                assert client.ask(b"get k\r\n") == b"CLIENT_ERROR unauthenticated\r\n"
                assert client.ask(token(b"bob builder")) == STORED
                client.store(b"k", b"v" * 100000)
                assert client.ask(b"get k\r\n", b"END\r\n").endswith(b"v\r\nEND\r\n")


def test_late_answers_by_tls_lose_nothing_that_was_sent_behind():
    with guarded("-t", "1") as server:
        for version in VERSIONS:
            with connect(server, context(version)) as client, connect(server, context(version)) as other:
                begin = time.monotonic()
                client.send(token(b"bob guess"))
                client.send(token(b"bob other"))
                client.send(token(b"bob builder") + b"set a 0 0 1\r\n1\r\n")
                assert other.ask(b"version\r\n").startswith(b"VERSION")
                for want in (FAILURE, FAILURE, STORED, STORED):
                    assert client.until(b"\n") == want
                assert time.monotonic() - begin > 0.9


def test_leaving_while_the_answer_waits():
    with guarded() as server:
        for version in VERSIONS:
            for _ in range(10):
                with connect(server, context(version)) as client:
                    client.send(token(b"bob guess"))
        with connect(server) as client:
            assert client.ask(token(b"bob builder")) == STORED
            eventually(lambda: client.number(b"curr_connections") == 1, "those who left are gone")


def test_certificates_and_users_are_read_again_at_once():
    with guarded() as server:
        with open(server.auth_path, "wb") as file:
            file.write(b"carol:new\n")
        os.kill(server.pid, signal.SIGHUP)

        def comes_in():
            with connect(server) as client:
                return client.ask(token(b"carol new")) == STORED
        eventually(comes_in, "the new user comes in")
        eventually(lambda: "auth file read again" in server.log_text(), "the log says so")
        assert "certificates read again" in server.log_text()


if __name__ == "__main__":
    main()
