"""Connections that become readable together, which a worker serves together: none may be mistaken for another, held up by
another, or be missed by what happens to another meanwhile.

A server that is stopped (SIGSTOP) while its clients send finds all of it at once when it goes on."""
import contextlib
import os
import signal
import threading

from harness import PATIENCE_S, Server, alive, eventually, main

KEYS = 300
BIG = b"b" * 900000


def value(i):
    return b"<%d>" % i * (1 + i % 40)


def reply(i):
    return b"VALUE key%d 0 %d\r\n%s\r\nEND\r\n" % (i, len(value(i)), value(i))


def fill(server):
    with server.client() as client:
        for i in range(KEYS):
            client.store(b"key%d" % i, value(i))


@contextlib.contextmanager
def stopped(server):
    """What is sent within arrives as one."""
    os.kill(server.pid, signal.SIGSTOP)
    eventually(lambda: server.status("State") == "T", "it stands still")
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@contextlib.contextmanager
def crowd(server, count):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.client()) for _ in range(count)]
        for client in clients:
            assert client.ask(b"mn\r\n") == b"MN\r\n"
        yield clients


def test_two_hundred_requests_at_once_are_each_answered_rightly():
    with Server("-t", "1", "-c", "300") as server:
        fill(server)
        with crowd(server, 200) as clients:
            for turn in range(10):
                with stopped(server):
                    for i, client in enumerate(clients):
                        client.send(b"get key%d\r\n" % ((i + turn) % KEYS))
                for i, client in enumerate(clients):
                    want = reply((i + turn) % KEYS)
                    assert client.exact(len(want)) == want
            assert all(client.rest == b"" for client in clients)
        stats = server.stats()
        assert int(stats[b"get_hits"]) == int(stats[b"cmd_get"]) == 2000, stats


def test_all_that_a_command_may_be_is_answered_in_one_crowd():
    exchanges = [
        (b"get key7\r\n", reply(7)), (b"get none\r\n", b"END\r\n"), (b"set new%d 0 0 3\r\nnew\r\n", b"STORED\r\n"),
        (b"get key8\r\nget key9\r\n", reply(8) + reply(9)), (b"mg key1 s\r\n", b"HD s%d\r\n" % len(value(1))),
        (b"delete none\r\n", b"NOT_FOUND\r\n"), (b"get big\r\n", b"VALUE big 0 900000\r\n" + BIG + b"\r\nEND\r\n"),
        (b"bogus\r\n", b"ERROR\r\n"), (b"touch key3 0\r\n", b"TOUCHED\r\n"), (b"quit\r\n", b""),
        (b"get " + b"k" * 251 + b"\r\n", b"CLIENT_ERROR bad command line format\r\n")]
    with Server("-t", "1") as server:
        fill(server)
        with server.client() as client:
            client.store(b"big", BIG)
        with crowd(server, 44) as clients:
            with stopped(server):
                for i, client in enumerate(clients):
                    request = exchanges[i % len(exchanges)][0]
                    client.send(request % i if b"%d" in request else request)
            for i, client in enumerate(clients):
                want = exchanges[i % len(exchanges)][1]
                assert client.exact(len(want)) == want if want else client.to_end() == b""


def test_requests_cut_at_every_byte_on_many_connections_at_once():
    """Each client cuts the same bytes elsewhere; what is left over is kept apart."""
    request = b"get key5\r\nset cut 0 0 8\r\nget key6\r\nget key6 key7\r\n"
    want = reply(5) + b"STORED\r\n" + reply(6)[:-5] + reply(7)
    with Server("-t", "1") as server:
        fill(server)
        with crowd(server, len(request) - 1) as clients:
            for part in (0, 1):
                with stopped(server):
                    for i, client in enumerate(clients):
                        client.send((request[:i + 1], request[i + 1:])[part])
                alive(server)
            for client in clients:
                assert client.exact(len(want)) == want
                assert client.rest == b""


def test_a_byte_at_a_time_from_many_at_once():
    request = b"get key11\r\n"
    with Server("-t", "1") as server:
        fill(server)
        with crowd(server, 20) as clients:
            for at in range(len(request)):
                with stopped(server):
                    for client in clients:
                        client.send(request[at:at + 1])
            assert [client.exact(len(reply(11))) for client in clients] == [reply(11)] * 20


def test_full_buffers_of_several_clients_arrive_together():
    """More than one group's memory holds at once: 15 KB of requests each, with replies of 100 KB."""
    lines = b"".join(b"get key%d key39\r\n" % i for i in range(KEYS))[:15000].rsplit(b"\n", 1)[0] + b"\n"
    want = b"".join(reply(i)[:-5] + reply(39) for i in range(lines.count(b"\n")))
    with Server("-t", "1") as server:
        fill(server)
        with crowd(server, 24) as clients:
            with stopped(server):
                for client in clients:
                    client.send(lines)
            for client in clients:
                assert client.exact(len(want)) == want


def test_those_who_do_not_read_hold_up_nobody_beside_them():
    with Server("-t", "1") as server:
        fill(server)
        with server.client() as client:
            client.store(b"big", BIG)
        with crowd(server, 30) as clients:
            for _ in range(2):
                with stopped(server):
                    for i, client in enumerate(clients):
                        client.send(b"get key4\r\n" if i % 3 == 0 else b"get big\r\n" * 4)
                for client in clients[::3]:
                    assert client.exact(len(reply(4))) == reply(4)
            whole = b"VALUE big 0 900000\r\n" + BIG + b"\r\nEND\r\n"
            for i in (1, 2, 28, 29):
                assert all(clients[i].exact(len(whole)) == whole for _ in range(8))


def test_a_pipeline_without_end_and_single_requests_are_served_in_turns():
    with Server("-t", "1") as server:
        fill(server)
        over = threading.Event()
        pipeliners = [server.client() for _ in range(3)]

        def pour(client):
            while not over.is_set():
                client.send(b"get key1\r\n" * 2000)
                assert client.exact(2000 * len(reply(1))) == reply(1) * 2000

        threads = [threading.Thread(target=pour, args=(client,), daemon=True) for client in pipeliners]
        for thread in threads:
            thread.start()
        with crowd(server, 10) as clients:
            for turn in range(50):
                for i, client in enumerate(clients):
                    client.send(b"get key%d\r\n" % (turn + i))
                for i, client in enumerate(clients):
                    assert client.exact(len(reply(turn + i))) == reply(turn + i)
            assert clients[0].number(b"conn_yields") > 0
        over.set()
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        for client in pipeliners:
            client.socket.close()


def test_some_hang_up_or_are_closed_while_the_others_ask():
    with Server("-t", "1") as server:
        fill(server)
        for _ in range(5):
            with crowd(server, 32) as clients:
                with stopped(server):
                    for i, client in enumerate(clients):
                        client.send((b"get key2\r\n", b"get key2\r\nquit\r\n", b"get key2", b"get key2\r\n")[i % 4])
                    for client in clients[2::4]:
                        client.socket.close()
                for client in clients[0::4] + clients[3::4]:
                    assert client.exact(len(reply(2))) == reply(2)
                for client in clients[1::4]:
                    assert client.to_end() == reply(2)
        eventually(lambda: int(server.stats()[b"curr_connections"]) <= 2, "all places are free")


def test_the_end_comes_between_the_replies_of_a_crowd():
    """Whoever is answered is answered whole; the signal is there before the requests are looked at."""
    with Server("-t", "1") as server:
        fill(server)
        with crowd(server, 64) as clients:
            with stopped(server):
                for client in clients:
                    client.send(b"get key30\r\n" * 40)
                server.process.terminate()
            answers = [client.to_end() for client in clients]
            assert server.process.wait(PATIENCE_S) == 0
            for answer in answers:
                assert answer == reply(30) * (len(answer) // len(reply(30))), answer[-100:]


if __name__ == "__main__":
    main()
