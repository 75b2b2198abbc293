"""Serving over TLS: every size, every way to cut it into records, slow readers, fair turns, and every kind of end."""
import random
import socket
import ssl
import subprocess
import threading

from common import PATIENCE_S, Wire, connect, context, main, secure, secure_memcached, VERSIONS
from harness import MIB, Client, eventually

LARGE = ("-I", "16m", "-m", "512")
SIZES = (0, 1, 100, 16383, 16384, 16385, 48 << 10, 100000, MIB)


def value(size):
    return random.Random(size).randbytes(size)


def item(key, data):
    return b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key, len(data), data)


def fetch(client, key, data):
    """Asks for a key and compares what comes, whole."""
    whole = item(key, data)
    client.send(b"get %s\r\n" % key)
    assert client.exact(len(whole)) == whole


def test_values_of_every_size_come_back_whole_in_either_version():
    with secure(*LARGE) as server:
        for version in VERSIONS:
            with connect(server, context(version)) as client:
                assert client.socket.version() == version.name.replace("_", ".")
                for size in (*SIZES, 8 * MIB):
                    client.store(b"k%d" % size, value(size))
                    fetch(client, b"k%d" % size, value(size))


def test_conversations_are_those_of_memcached():
    talk = [b"get a", b"set a 5 0 3\r\nabc", b"append a 0 0 1\r\nd", b"get a b a", b"bogus", b"incr a 1", b"set n 0 0 1\r\n5",
            b"incr n 4", b"touch n 9", b"delete a", b"delete a", b"flush_all", b"get n", b"refresh_certs"]
    heard = []
    for server in (secure(), secure_memcached()):
        with server, connect(server) as client:
            client.send(b"".join(line + b"\r\n" for line in talk) + b"quit\r\n")
            heard.append(client.to_end())
    assert heard[0] == heard[1], heard
    assert heard[0].endswith(b"OK\r\nEND\r\nOK\r\n")


def test_many_requests_in_one_segment_are_all_answered():
    for options in ((), ("-R", "1")):
        with secure(*options) as server, Wire(server.address()) as wire:
            wire.shake_hands()
            wire.socket.sendall(wire.record(b"set a 0 0 1\r\nv\r\n"))
            assert wire.read(8) == b"STORED\r\n"
            one = item(b"a", b"v")
            wire.socket.sendall(b"".join(wire.record(b"get a\r\n") for _ in range(2000)))
            assert wire.read(2000 * len(one)) == 2000 * one


def test_requests_are_served_however_they_are_cut_into_records():
    request = b"set key 0 0 10\r\n0123456789\r\nget key\r\n"
    answer = b"STORED\r\n" + item(b"key", b"0123456789")
    with secure() as server, Wire(server.address()) as wire:
        wire.shake_hands()
        for cut in range(1, len(request)):
            wire.socket.sendall(wire.record(request[:cut]) + wire.record(request[cut:]))
            assert wire.read(len(answer)) == answer
        wire.socket.sendall(b"".join(wire.record(request[i:i + 1]) for i in range(len(request))))
        assert wire.read(len(answer)) == answer


def test_records_are_served_however_they_are_cut_into_segments():
    answer = item(b"key", b"0123456789")
    with secure() as server, Wire(server.address()) as wire:
        wire.shake_hands()
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.socket.sendall(wire.record(b"set key 0 0 10\r\n0123456789\r\n"))
        assert wire.read(8) == b"STORED\r\n"
        record = wire.record(b"get key\r\n")
        for at in range(1, len(record)):
            wire.socket.sendall(record[:at])
            record, rest = wire.record(b"get key\r\n"), record[at:]
            wire.socket.sendall(rest)
            assert wire.read(len(answer)) == answer
        wire.socket.sendall(record)
        assert wire.read(len(answer)) == answer


def some_requests(chance, model):
    """Up to 20 requests in a row, and all that they are answered with; `model` holds what is stored."""
    asked = answered = b""
    for _ in range(chance.randrange(1, 21)):
        key = b"k%d" % chance.randrange(10)
        if chance.random() < 0.5:
            model[key] = value(chance.choice((0, 1, 50, 2000, 17000, 40000)))
            asked += b"set %s 0 0 %d\r\n%s\r\n" % (key, len(model[key]), model[key])
            answered += b"STORED\r\n"
        else:
            asked += b"get %s\r\n" % key
            answered += item(key, model[key]) if key in model else b"END\r\n"
    return asked, answered


def in_pieces(chance, data, longest):
    at = 0
    while at < len(data):
        size = chance.randrange(1, longest + 1)
        yield data[at:at + size]
        at += size


def test_any_mix_of_requests_records_and_segments_is_answered_in_order():
    chance, model = random.Random(7), {}
    with secure("-t", "1", "-R", "3") as server, Wire(server.address(), context(chance.choice(VERSIONS))) as wire:
        wire.shake_hands()
        for _ in range(150):
            asked, answered = some_requests(chance, model)
            records = b"".join(wire.record(part) for part in in_pieces(chance, asked, chance.choice((30, 3000, 20000))))
            for part in in_pieces(chance, records, chance.choice((700, 20000, 100000))):
                wire.socket.sendall(part)
            assert wire.read(len(answered)) == answered


def test_large_bodies_in_small_records_and_small_segments():
    body = value(300000)
    with secure(*LARGE) as server, Wire(server.address()) as wire:
        wire.shake_hands()
        sent = b"set k 0 0 300000\r\n" + body + b"\r\nget k\r\n"
        records = b"".join(wire.record(sent[at:at + 1000]) for at in range(0, len(sent), 1000))
        wire.socket.sendall(records[:10000])
        for at in range(10000, len(records), 7001):
            wire.socket.sendall(records[at:at + 7001])
        assert wire.read(8) == b"STORED\r\n"
        assert wire.read(len(item(b"k", body))) == item(b"k", body)


def test_a_slow_reader_gets_all_and_holds_up_nobody():
    body = value(8 * MIB)
    with secure(*LARGE, "-t", "1") as server, connect(server) as slow, connect(server) as other:
        slow.store(b"big", body)
        for _ in range(3):
            slow.send(b"get big\r\n")
        for i in range(200):
            other.store(b"k%d" % i, b"v")
            fetch(other, b"k%d" % i, b"v")
        for _ in range(3):
            assert slow.exact(len(item(b"big", body))) == item(b"big", body)


def test_many_large_values_at_once():
    body = value(8 * MIB)
    with secure(*LARGE) as server, connect(server) as first:
        first.store(b"big", body)
        clients = [connect(server) for _ in range(4)]
        for client in clients:
            client.send(b"get big\r\n" * 2)
        for _ in range(2):
            for client in clients:
                assert client.exact(len(item(b"big", body))) == item(b"big", body)
        for client in clients:
            client.__exit__()


def test_watchers_are_told_everything_over_tls():
    with secure() as server, connect(server) as watcher, connect(server) as client:
        assert watcher.ask(b"watch mutations\r\n") == b"OK\r\n"
        for i in range(2000):
            client.store(b"key-%04d" % i, b"v")
        lines = watcher.until(b"key=key-1999 ")
        assert [line.split(b"key=")[1][:8] for line in lines.splitlines()] == [b"key-%04d" % i for i in range(2000)]


def test_dumps_come_whole_over_tls():
    with secure() as server, connect(server) as client:
        keys = {b"key-%05d" % i for i in range(20000)}
        client.send(b"".join(b"set %s 0 0 1 noreply\r\nv\r\n" % key for key in sorted(keys)))
        assert client.ask(b"mn\r\n") == b"MN\r\n"
        lines = client.ask(b"lru_crawler metadump all\r\n", b"END\r\n").splitlines()
        assert {line[4:13] for line in lines if line.startswith(b"key=")} == keys, len(lines)
        assert client.ask(b"mn\r\n") == b"MN\r\n"


def test_a_deep_pipeline_takes_fair_turns():
    with secure("-t", "1") as server, connect(server) as greedy, connect(server) as modest:
        greedy.store(b"a", b"v")
        before = greedy.number(b"conn_yields")
        writer = threading.Thread(target=greedy.send, args=(b"get a\r\n" * 50000,))
        writer.start()
        for _ in range(20):
            fetch(modest, b"a", b"v")
        one = item(b"a", b"v")
        assert greedy.exact(50000 * len(one)) == 50000 * one
        writer.join()
        assert greedy.number(b"conn_yields") > before


def serve_some(server, seed, failures):
    """25 connections that each set and get values of many sizes, all verified."""
    chance = random.Random(seed)
    try:
        clients = [connect(server, context(chance.choice(VERSIONS))) for _ in range(25)]
        for turn in range(8):
            for i, client in enumerate(clients):
                key, data = b"%d-%d" % (seed, i), value(chance.choice((1, 100, 20000, 70000)))
                client.store(key, data)
                fetch(client, key, data)
        for client in clients:
            client.__exit__()
    except Exception as error:  # told by the main thread
        failures.append(error)


def test_two_hundred_connections_are_served_side_by_side():
    with secure("-t", "4") as server:
        failures = []
        threads = [threading.Thread(target=serve_some, args=(server, seed, failures)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures[0]
        eventually(lambda: server_number(server, b"curr_connections") == 1, "all are closed")


def server_number(server, name):
    with connect(server) as client:
        return client.number(name)


# ---- ends


def test_quit_ends_with_a_goodbye():
    for version in VERSIONS:
        with secure() as server, connect(server, context(version)) as client:
            assert client.send(b"get a\r\nquit\r\n").to_end() == b"END\r\n"


def test_a_client_that_says_goodbye_first_gets_its_answers_and_a_goodbye():
    for version in VERSIONS:
        with secure() as server, Wire(server.address(), context(version)) as wire:
            wire.shake_hands()
            data = wire.record(b"set a 0 0 1\r\nv\r\n" + b"get a\r\n" * 100)
            try:
                wire.tls.unwrap()
            except ssl.SSLWantReadError:
                data += wire.outgoing.read()
            wire.socket.sendall(data)
            assert wire.end() == b"STORED\r\n" + 100 * item(b"a", b"v")


def test_a_client_that_closes_its_half_without_a_word_gets_its_answers():
    with secure() as server, Wire(server.address()) as wire:
        wire.shake_hands()
        wire.socket.sendall(wire.record(b"set a 0 0 1\r\nv\r\nget a\r\n"))
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.end() == b"STORED\r\n" + item(b"a", b"v")
        assert server_number(server, b"ssl_proto_errors") == 0


def test_clients_that_vanish_in_the_middle_are_forgotten():
    with secure(*LARGE, "-t", "1") as server:
        before = server.files_open()
        with connect(server) as client:
            client.store(b"big", value(4 * MIB))
        for request in (b"get big\r\n" * 5, b"set a 0 0 100000\r\nabc", b"get a", b""):
            for _ in range(10):
                with connect(server) as client:
                    client.send(request)
        eventually(lambda: server.files_open() == before, "all are closed")
        eventually(lambda: server_number(server, b"curr_connections") == 1, "all are counted off")


def test_rubbish_after_the_handshake_is_an_error_and_closes():
    with secure() as server, Wire(server.address()) as wire:
        wire.shake_hands()
        wire.socket.sendall(wire.record(b"get a\r\n"))
        assert wire.read(5) == b"END\r\n"
        wire.socket.sendall(b"get a\r\n" * 10)
        while wire.socket.recv(65536):
            pass
        assert server_number(server, b"ssl_proto_errors") == 1
        assert server_number(server, b"ssl_handshake_errors") == 0


def test_a_record_that_was_tampered_with_executes_nothing():
    with secure() as server, Wire(server.address()) as wire:
        wire.shake_hands()
        record = bytearray(wire.record(b"set a 0 0 1\r\nv\r\n"))
        record[-20] ^= 1
        wire.socket.sendall(record)
        while wire.socket.recv(65536):
            pass
        with connect(server) as client:
            assert client.ask(b"get a\r\n") == b"END\r\n"


def test_idle_connections_are_closed_with_a_goodbye():
    with secure("-o", "idle_timeout=4") as server, connect(server) as client:
        client.store(b"a", b"v")
        assert client.to_end() == b""
        assert server_number(server, b"idle_kicks") >= 1


def test_connections_beyond_the_limit_are_closed():
    with secure("-c", "10") as server:
        clients = [connect(server) for _ in range(10)]
        for client in clients:
            client.ask(b"version\r\n")
        with Client(server.address()) as more:
            assert more.to_end() == b""
        for client in clients:
            fetch_version(client)
            client.__exit__()


def fetch_version(client):
    assert client.ask(b"version\r\n").startswith(b"VERSION ")


def test_the_end_says_goodbye_to_all_after_their_answers():
    with secure("-t", "2") as server:
        clients = [connect(server) for _ in range(50)]
        half = [Client(server.address()) for _ in range(50)]
        for client in clients:
            fetch_version(client)
        server.process.terminate()
        for client in clients:
            assert client.to_end() == b""
        for client in half:
            assert client.to_end() == b""
        server.process.wait(PATIENCE_S)


# ---- OpenSSL's own client


class Interactive:
    """openssl s_client, which takes a line for a command of its own where a line is all that it reads at once."""

    def __init__(self, server, *options):
        self.process = subprocess.Popen(["openssl", "s_client", "-connect", "%s:%d" % server.address(), *options],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        self.deadline = threading.Timer(PATIENCE_S, self.process.kill)

    def __enter__(self):
        self.deadline.start()
        return self

    def __exit__(self, *ignored):
        self.deadline.cancel()
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def say(self, line, expected):
        """Types a line and waits for what it brings about."""
        self.process.stdin.write(line)
        told = b""
        while expected not in told:
            part = self.process.stdout.read(65536)
            assert part, told
            told += part


def test_keys_are_updated_when_a_client_asks():
    with secure() as server, Interactive(server, "-tls1_3") as client:
        client.say(b"version\r\n", b"VERSION ")
        for _ in range(3):
            client.say(b"K\n", b"KEYUPDATE")
            client.say(b"get a\r\n", b"END")
            client.say(b"k\n", b"KEYUPDATE")
            client.say(b"get a\r\n", b"END")


def test_renegotiation_is_refused():
    with secure() as server:
        with Interactive(server, "-tls1_2") as client:
            client.say(b"version\r\n", b"VERSION ")
            client.say(b"R\n", b"no renegotiation")
        with connect(server) as client:
            fetch_version(client)


if __name__ == "__main__":
    main()
