"""Signals: which end the server and how, which it survives, and what it says when it cannot receive them."""
import os
import signal
import subprocess
import tempfile
import time

from harness import BINARY, PATIENCE_S, Client, Server, alive, eventually, main

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


def test_each_ending_signal_ends_it_in_order():
    for number in ENDING:
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o777)
            path, pidfile = os.path.join(folder, "socket"), os.path.join(folder, "pid")
            with Server("-s", path, "-P", pidfile, "-u", "root", listen=()) as server, Client(path) as client:
                client.store(b"k", b"v")
                os.kill(server.pid, number)
                assert server.process.wait(PATIENCE_S) == 0, number
                assert client.to_end() == b""
                assert not os.path.exists(path) and not os.path.exists(pidfile), os.listdir(folder)
                assert f"{number.name}: stops" in server.log_text()


def rest_after_sigusr1(size):
    """What comes of a value after the first byte and the signal, and how long that took."""
    with Server() as server, server.client() as client:
        client.store(b"big", b"b" * size)
        client.send(b"get big\r\n")
        assert client.exact(1) == b"V"
        begin = time.monotonic()
        os.kill(server.pid, signal.SIGUSR1)
        rest = client.to_end()
        took = time.monotonic() - begin
        assert server.process.wait(PATIENCE_S) == 0
        return rest, took


def test_sigusr1_lets_a_reply_under_way_go_out_whole():
    """memcached's graceful stop. A client that takes longer than the server waits (150 ms) proves nothing: once more."""
    for _ in range(50):
        rest, took = rest_after_sigusr1(200000)
        if took < 0.14:
            assert rest == b"ALUE big 0 200000\r\n" + b"b" * 200000 + b"\r\nEND\r\n", len(rest)
            return
    raise AssertionError("200 kB were never read in 0.14 s")


def test_a_second_sigusr1_does_not_wait():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        path = os.path.join(folder, "socket")
        with Server("-s", path, "-u", "root", listen=(), codes=(0, -signal.SIGUSR1)) as server, \
                Client(path) as stuck, Client(path) as other:
            other.store(b"big", b"b" * 1000000)
            stuck.send(b"get big\r\n")
            eventually(lambda: b"conn_mwrite" in other.ask(b"stats conns\r\n", b"END\r\n"), "it is stuck")
            os.kill(server.pid, signal.SIGUSR1)
            eventually(lambda: "SIGUSR1: stops" in server.log_text(), "the first one is seen")
            os.kill(server.pid, signal.SIGUSR1)
            server.process.wait(PATIENCE_S)


def test_sighup_keeps_everything():
    with Server() as server, server.client() as client:
        client.store(b"k", b"v")
        for _ in range(20):
            os.kill(server.pid, signal.SIGHUP)
        eventually(lambda: "SIGHUP" in server.log_text(), "it is logged")
        assert client.ask(b"get k\r\n", b"END\r\n") == b"VALUE k 0 1\r\nv\r\nEND\r\n"
        alive(server)


def test_sighup_before_an_end_in_one_batch_still_ends_it():
    with Server() as server:
        os.kill(server.pid, signal.SIGSTOP)
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGCONT):
            os.kill(server.pid, number)
        assert server.process.wait(PATIENCE_S) == 0


def test_sigpipe_is_ignored():
    with Server() as server:
        os.kill(server.pid, signal.SIGPIPE)
        alive(server)


def test_signals_that_cannot_be_received_are_named():
    """With four descriptors there is one left: for wake-ups."""
    said = subprocess.run(["/bin/sh", "-c", f"ulimit -n 4; exec '{BINARY}' -l 127.0.0.1:0 --admin-listen off"],
                          capture_output=True, text=True, check=False)
    assert said.returncode == 71 and "vitrine: no descriptor for signals: Too many open files" in said.stderr, said


if __name__ == "__main__":
    main()
