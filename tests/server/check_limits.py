"""How many connections: -c to the number, waiting instead of refusing, running out of descriptors, idle ones."""
import re
import resource
import time

from harness import PATIENCE_S, SANITIZED, Server, alive, eventually, main

VERSION = b"VERSION "
QUIET_S = 0.1  # how long to listen for an answer that nobody expects


def served(client):
    """Whether this connection is served, or told that it is one too many."""
    try:
        line = client.ask(b"version\r\n")
    except (AssertionError, ConnectionError):
        return False
    assert line.startswith(VERSION) or line == b"ERROR Too many open connections\r\n", line
    return line.startswith(VERSION)


def waits(client):
    """Whether this connection asks in vain, for now."""
    client.send(b"version\r\n").socket.settimeout(QUIET_S)
    try:
        client.fill()
        return False
    except TimeoutError:
        return True
    finally:
        client.socket.settimeout(PATIENCE_S)


def connect(server, count):
    return [server.client() for _ in range(count)]


def close(clients):
    for client in clients:
        client.socket.close()


def test_exactly_c_connections_are_served_and_the_rest_told():
    with Server("-c", "100", "-t", "2") as server:
        clients = connect(server, 150)
        answers = [served(client) for client in clients]
        assert answers == [True] * 100 + [False] * 50, answers
        # a place that is given back is taken again
        clients[0].socket.close()
        stats = clients[1].stats()
        eventually(lambda: clients[1].number(b"curr_connections") == 99, "the place is free")
        again = server.client()
        assert served(again)
        assert int(stats[b"rejected_connections"]) == 50 and int(stats[b"max_connections"]) == 100
        close(clients)


def test_the_line_of_refusal_arrives_though_the_client_spoke_first():
    with Server("-c", "1") as server, server.client() as one:
        assert served(one)
        for _ in range(50):
            with server.client() as other:
                assert other.to_end() == b"ERROR Too many open connections\r\n"


def test_without_maxconns_fast_the_rest_waits_and_is_served_in_turn():
    with Server("-c", "10", "-o", "no_maxconns_fast") as server:
        clients = connect(server, 15)
        assert all(served(client) for client in clients[:10]) and all(waits(client) for client in clients[10:])
        stats = clients[0].stats()
        assert stats[b"accepting_conns"] == b"0" and int(stats[b"listen_disabled_num"]) >= 1
        assert int(stats[b"rejected_connections"]) == 0
        clients[3].socket.close()
        begin = time.monotonic()
        assert clients[10].until(b"\r\n").startswith(VERSION), "the oldest one that waits is next"
        print(f"     served {1000 * (time.monotonic() - begin):.0f} ms after a place was free (goal 200)")
        close(clients[:3] + clients[4:])
        eventually(lambda: server.stats()[b"accepting_conns"] == b"1", "accepting goes on")


def test_a_low_limit_of_files_is_said_and_kept_without_burning_cpu():
    with Server("-t", "1", files=64) as server:
        count = int(re.search("the limit of 64 open files allows ([0-9]+) connections", server.log_text())[1])
        clients = connect(server, 60)
        assert 10 < count < 60, count
        assert all(served(client) for client in clients[:count]) and all(waits(client) for client in clients[count:])
        cpu, begin = server.cpu_s(), time.monotonic()
        time.sleep(1.5)
        share = (server.cpu_s() - cpu) / (time.monotonic() - begin)
        print(f"     {100 * share:.1f} % of a core while {60 - count} wait (goal 2)")
        assert share < 0.25, "waiting is not spinning"
        clients[0].socket.close()
        begin = time.monotonic()
        clients[count].until(b"\r\n")
        print(f"     served {1000 * (time.monotonic() - begin):.0f} ms after a descriptor was free (goal 200)")
        assert server.files_open() < 64, "some are left for the admin server"
        close(clients[1:])


def test_running_out_of_files_pauses_and_recovers():
    """The limit falls below what is open while it runs: accept really fails with EMFILE."""
    with Server("-t", "1", "-u", "root") as server:
        clients = connect(server, 10)
        assert all(served(client) for client in clients)
        before, most = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (server.files_open() + 2, most))
        more = connect(server, 10)
        assert all(served(client) for client in more[:2]) and all(waits(client) for client in more[2:])
        cpu, begin = server.cpu_s(), time.monotonic()
        slowest = 0.0
        while time.monotonic() - begin < 2:
            asked = time.monotonic()
            assert clients[0].ask(b"version\r\n").startswith(VERSION)
            slowest = max(slowest, time.monotonic() - asked)
            time.sleep(0.01)
        share = (server.cpu_s() - cpu) / (time.monotonic() - begin)
        lines = server.log_text().count("cannot accept connections")
        print(f"     {100 * share:.1f} % of a core (goal 2), old clients wait {1000 * slowest:.1f} ms, {lines} lines")
        assert share < 0.25 and 1 <= lines <= 2 + time.monotonic() - begin + 2, (share, lines)
        clients[1].socket.close()
        begin = time.monotonic()
        more[2].until(b"\r\n")
        print(f"     served {1000 * (time.monotonic() - begin):.0f} ms after a descriptor was free (goal 200)")
        close(clients[2:] + more)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (before, most))
        alive(server)


def test_a_thousand_idle_connections_cost_little_and_nothing_when_gone():
    wanted = 1000
    with Server("-c", "1100", "-t", "2", "-m", "1", weighed=True) as server:
        warm = connect(server, 20)
        assert all(served(client) for client in warm)
        before = server.rss()
        clients = connect(server, wanted)
        for client in clients:
            client.send(b"version\r\n")
        for client in clients:
            assert client.until(b"\r\n").startswith(VERSION)
        each = (server.rss() - before) / wanted
        print(f"     {each:.0f} bytes of memory each (goal 1024)")
        assert SANITIZED or each < 2048  # the store may ready all of its 1 MiB meanwhile
        cpu, begin = server.cpu_s(), time.monotonic()
        time.sleep(1)
        print(f"     {100 * (server.cpu_s() - cpu) / (time.monotonic() - begin):.2f} % of a core with all idle")
        assert warm[0].number(b"curr_connections") == wanted + 20
        close(clients)
        eventually(lambda: warm[0].number(b"curr_connections") == 20, "all are gone")
        assert warm[0].number(b"total_connections") == warm[0].number(b"connection_structures") == wanted + 20


def ask_until_closed(idle, busy):
    """Keeps the busy one asking until the idle one is closed: the seconds of its longest silence, and whether it lives."""
    idle.socket.settimeout(0.1)
    longest, asked, end = 0.0, time.monotonic(), time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        lives = served(busy)
        longest, asked = max(longest, time.monotonic() - asked), time.monotonic()
        try:
            if not lives or idle.socket.recv(1) == b"":
                return longest, lives
        except TimeoutError:
            continue
    raise AssertionError("the idle one was not closed")


def test_idle_timeout_closes_the_idle_and_spares_the_busy():
    """A busy one that this machine kept silent for a while proves nothing when it is closed too: then once more."""
    for _ in range(10):
        with Server("-o", "idle_timeout=2") as server, server.client() as idle, server.client() as busy:
            assert served(idle)
            longest, lives = ask_until_closed(idle, busy)
            if lives:
                assert busy.number(b"idle_kicks") == 1
                return
            assert longest >= 1, longest
    raise AssertionError("no client of this machine was able to ask once a second")


def test_connections_are_told_with_their_addresses():
    with Server("-t", "2") as server, server.client() as one, server.client() as other:
        other.ask(b"version\r\n")
        eventually(lambda: b"conn_read" in one.ask(b"stats conns\r\n", b"END\r\n"), "the other one waits")
        text = one.ask(b"stats conns\r\n", b"END\r\n").decode()
        port = server.address()[1]
        for client in (one, other):
            mine = client.socket.getsockname()[1]
            line = next(line for line in text.split("\r\n") if line.endswith(f"addr tcp:127.0.0.1:{mine}"))
            number = line.split()[1].split(":")[0]
            assert f"STAT {number}:listen_addr tcp:127.0.0.1:{port}\r\n" in text
            assert f"STAT {number}:secs_since_last_cmd " in text
        assert text.count("state conn_listening") == 1 and text.count(":state ") == 3
        assert "state conn_parse_cmd" in text and "state conn_read" in text
        for piece in (b"set k 0 0 5\r\n", b"ab"):  # what is to come is told, a small body's too
            other.send(piece)
            eventually(lambda: b"state conn_nread" in one.ask(b"stats conns\r\n", b"END\r\n"), "the body is awaited")
        assert other.ask(b"cde\r\n") == b"STORED\r\n"


if __name__ == "__main__":
    main()
