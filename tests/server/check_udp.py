"""UDP: frames, replies in several datagrams, what is dropped, and how little a datagram can bring about."""
import contextlib
import os
import re
import socket
import struct
import subprocess

from harness import PATIENCE_S, Client, Server, alive, eventually, free_port, main, run

MEMCACHED = next((path for path in ("/usr/bin/memcached", "/usr/local/bin/memcached") if os.access(path, os.X_OK)), None)
FRAME = struct.Struct("!HHHH")
PAYLOAD = 1392
REPLY_MAX = 64 << 10
LOST_S = 1.0  # a datagram that is not answered by then was lost: another is sent


class Wire:
    """A UDP socket that speaks to one server."""

    def __init__(self, address):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(address)
        self.last_id = 0x1fe

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.socket.close()

    def send(self, text, request_id=None, sequence=0, total=1, reserved=0):
        if request_id is None:
            self.last_id = request_id = (self.last_id + 1) & 0xffff
        self.socket.send(FRAME.pack(request_id, sequence, total, reserved) + text)
        return request_id

    def receive(self, request_id):
        """The whole reply to that request; what answers others is an error."""
        parts, wanted = {}, None
        while wanted is None or len(parts) < wanted:
            data = self.socket.recv(65536)
            assert 8 < len(data) <= 8 + PAYLOAD, len(data)
            got_id, sequence, total, reserved = FRAME.unpack(data[:8])
            assert got_id == request_id and reserved == 0 and sequence < total, (data[:8], request_id)
            assert wanted in (None, total) and sequence not in parts, (wanted, total, sequence)
            wanted, parts[sequence] = total, data[8:]
        assert all(len(parts[i]) == PAYLOAD for i in range(wanted - 1))
        return b"".join(parts[i] for i in range(wanted))

    def ask(self, text):
        return self.receive(self.send(text))

    def quiet(self):
        """Nothing has come, though the server has served what was sent before: it answers the next."""
        assert self.ask(b"version\r\n").startswith(b"VERSION ")


@contextlib.contextmanager
def serving(*options, listen=("-l", "127.0.0.1:0")):
    """A server with one worker, so that what is sent first is served first."""
    with Server("-U", "1", "-t", "1", *options, listen=listen) as server:
        server.udp = [address_of(text) for text in server.addresses if text.startswith("udp:")]
        yield server


def address_of(text):
    host, port = text[len("udp:"):].rsplit(":", 1)
    return host.strip("[]"), int(port)


def wire(server):
    return Wire(server.udp[0])


def answers(port):
    """Whether its loop runs: by then it has its UDP socket too."""
    try:
        with Client(("127.0.0.1", port)) as client:
            return client.ask(b"version\r\n").startswith(b"VERSION")
    except OSError:
        return False


@contextlib.contextmanager
def memcached():
    """The installed memcached with UDP; yields its port."""
    port = free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen([MEMCACHED, "-l", "127.0.0.1", "-p", str(port), "-U", str(port), *user],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: process.poll() is not None or answers(port), "memcached answers")
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


# ---- replies ----

def dialogue():
    """What memcached answers too, in one reply of one command."""
    big = b"x" * 20000
    yield b"get foo\r\n", b"END\r\n"
    yield b"set foo 5 0 6\r\nfooval\r\n", b"STORED\r\n"
    yield b"get foo\r\n", b"VALUE foo 5 6\r\nfooval\r\nEND\r\n"
    yield b"add foo 0 0 1\r\n1\r\n", b"NOT_STORED\r\n"
    yield b"append foo 0 0 1\r\n!\r\n", b"STORED\r\n"
    yield b"get foo\r\n", b"VALUE foo 5 7\r\nfooval!\r\nEND\r\n"
    yield b"mg foo v f\r\n", b"VA 7 f5\r\nfooval!\r\n"
    yield b"ms meta 3 T0\r\nabc\r\n", b"HD\r\n"
    yield b"mg missing v\r\n", b"EN\r\n"
    yield b"mn\r\n", b"MN\r\n"
    yield b"set n 0 0 1\r\n1\r\n", b"STORED\r\n"
    yield b"incr n 41\r\n", b"42\r\n"
    yield b"touch n 0\r\n", b"TOUCHED\r\n"
    yield b"delete n\r\n", b"DELETED\r\n"
    yield b"nonsense\r\n", b"ERROR\r\n"
    yield b"set big 0 0 20000\r\n" + big + b"\r\n", b"STORED\r\n"
    yield b"get big\r\n", b"VALUE big 0 20000\r\n" + big + b"\r\nEND\r\n"
    yield b"flush_all\r\n", b"OK\r\n"
    yield b"get big\r\n", b"END\r\n"


def test_commands_are_answered_as_memcached_answers():
    with serving() as server, wire(server) as client:
        for request, reply in dialogue():
            assert client.ask(request) == reply, request[:40]


def test_memcached_itself_answers_so():
    if MEMCACHED is None:
        return
    with memcached() as port, Wire(("127.0.0.1", port)) as client:
        for request, reply in dialogue():
            assert client.ask(request) == reply, request[:40]


def test_each_reply_carries_its_requests_id():
    with serving() as server, wire(server) as client:
        for request_id in (0, 1, 0x00ff, 0xff00, 0xffff):
            client.send(b"get a\r\n", request_id)
            assert client.receive(request_id) == b"END\r\n"


def test_many_keys_are_one_reply():
    with serving() as server, wire(server) as client, server.client() as tcp:
        for i in range(40):
            tcp.store(b"k%d" % i, b"v" * 100)
        reply = client.ask(b"get " + b" ".join(b"k%d" % i for i in range(40)) + b"\r\n")
        assert reply == b"".join(b"VALUE k%d 0 100\r\n%s\r\n" % (i, b"v" * 100) for i in range(40)) + b"END\r\n"


def test_many_commands_of_one_datagram_are_one_reply():
    with serving() as server, wire(server) as client:
        text = b"".join(b"set k%d 0 0 1\r\n%d\r\nget k%d\r\n" % (i % 10, i % 10, i % 10) for i in range(200))
        assert client.ask(text) == b"".join(b"STORED\r\nVALUE k%d 0 1\r\n%d\r\nEND\r\n" % (i % 10, i % 10) for i in range(200))


def test_stats_and_settings():
    with serving() as server, wire(server) as client:
        reply = client.ask(b"stats\r\n")
        assert reply.startswith(b"STAT pid ") and reply.endswith(b"END\r\n")
        assert b"STAT udpport 1\r\n" in client.ask(b"stats settings\r\n")
        assert re.search(rb"STAT \d+:addr udp:127\.0\.0\.1:%d\r\n" % server.udp[0][1], client.ask(b"stats conns\r\n"))


def test_noreply_is_not_answered():
    with serving() as server, wire(server) as client:
        client.send(b"set a 0 0 1 noreply\r\n1\r\n")
        client.quiet()
        assert client.ask(b"get a\r\n") == b"VALUE a 0 1\r\n1\r\nEND\r\n"


def test_largest_datagram():
    with serving() as server, wire(server) as client:
        size = 65507 - 8 - len(b"set a 0 0 65000\r\n\r\n")
        text = b"set a 0 0 %d\r\n%s\r\n" % (size, b"y" * size)
        assert client.ask(text) == b"STORED\r\n"
        assert client.ask(b"get a\r\n") == b"VALUE a 0 %d\r\n%s\r\nEND\r\n" % (size, b"y" * size)


HEAD = struct.Struct("!BBHBBHIIQ")


def frame(opcode, key=b"", value=b"", extras=b"", opaque=7):
    body = extras + key + value
    return HEAD.pack(0x80, opcode, len(key), len(extras), 0, 0, len(body), opaque, 0) + body


def test_binary_protocol():
    with serving() as server, wire(server) as client:
        reply = client.ask(frame(0x01, b"k", b"value", bytes(8)))
        assert HEAD.unpack(reply[:24])[5] == 0 and len(reply) == 24
        reply = client.ask(frame(0x00, b"k"))
        assert HEAD.unpack(reply[:24])[7] == 7 and reply[24:] == bytes(4) + b"value"
        client.send(frame(0x09, b"none"))
        client.send(frame(0x00, b"k")[:-1])
        client.send(b"\x80")
        client.quiet()
        big = b"b" * 20000
        assert HEAD.unpack(client.ask(frame(0x01, b"big", big, bytes(8)))[:24])[5] == 0
        assert client.ask(frame(0x00, b"big"))[24:] == bytes(4) + big
        reply = client.ask(frame(0x00, b"big", opaque=99) * 4)
        assert HEAD.unpack(reply[:24])[5] == 3 and HEAD.unpack(reply[:24])[7] == 99 and reply[24:] == b"Too large."


# ---- what a datagram cannot do ----

def replies_of(server, text):
    """All bytes, frames included, that one datagram brings back."""
    with wire(server) as client:
        client.send(text)
        end, total = client.send(b"version\r\n"), 0
        while True:
            data = client.socket.recv(65536)
            if FRAME.unpack(data[:8])[0] == end:
                return total
            total += len(data)


def test_no_datagram_gets_more_than_64_kib():
    with serving("-I", "8m", "-m", "128") as server:
        with server.client() as tcp:
            for i in range(40):
                tcp.store(b"k%d" % i, b"v" * 1000000)
            tcp.store(b"most", b"m" * (REPLY_MAX - len(b"VALUE most 0 65506\r\n\r\nEND\r\n")))
            tcp.store(b"over", b"o" * (REPLY_MAX - len(b"VALUE over 0 65506\r\n\r\nEND\r\n") + 1))
            tcp.store(b"half", b"h" * 33000)
            tcp.store(b"small", b"s" * 1000)
        bound = REPLY_MAX + 48 * 8
        for text in (b"get k1\r\n", b"gets" + b" k1" * 600 + b"\r\n", b"".join(b"get k%d\r\n" % i for i in range(40)),
                     b"get over\r\n", b"get half half\r\n", b"get" + b" small" * 1000 + b"\r\n", b"get most\r\n",
                     b"stats\r\n" * 1000, b"get small\r\n" * 1000, b"version\r\n" * 7000, b"mg k1 v\r\n", b"gat 0 k1 k2\r\n"):
            got = replies_of(server, text)
            assert 0 < got <= bound, (text[:30], got)
        with wire(server) as client:
            assert len(client.ask(b"get most\r\n")) == REPLY_MAX
            for text in (b"get over\r\n", b"get k1\r\n", b"get half half\r\n"):
                assert client.ask(text) == b"SERVER_ERROR reply too large for UDP\r\n", text
        alive(server)


def metric(server, name):
    with server.client() as client:
        return client.number(name)


def test_requests_of_several_datagrams_are_dropped():
    with serving() as server, wire(server) as client:
        for sequence, total in ((0, 2), (1, 2), (0, 0), (0, 256), (0, 0xffff)):
            client.send(b"set a 0 0 1\r\n1\r\n", sequence=sequence, total=total)
        client.quiet()
        assert client.ask(b"get a\r\n") == b"END\r\n"


def test_short_frames_are_dropped():
    with serving() as server, wire(server) as client:
        for size in range(9):
            client.socket.send(FRAME.pack(1, 0, 1, 0)[:size])
        client.quiet()


def test_rest_of_the_frame_does_not_matter():
    with serving() as server, wire(server) as client:
        request_id = client.send(b"get a\r\n", sequence=7, reserved=0xffff)
        assert client.receive(request_id) == b"END\r\n"


def test_requests_that_are_not_whole_are_dropped_and_leave_nothing():
    with serving() as server, wire(server) as client:
        for text in (b"get a", b"get a\r\nget b", b"set a 0 0 5\r\nabc", b"set a 0 0 5\r\nabcde\r", b"set a 0 0 100000\r\n" + b"x" * 60000,
                     b"x" * 60000, b"ms a 5\r\nab", b"get " + b"k " * 30000):
            client.send(text)
            client.quiet()
        assert client.ask(b"cde\r\n") == b"ERROR\r\n"
        assert client.ask(b"get a\r\n") == b"END\r\n"
        with server.client() as tcp:
            assert tcp.number(b"curr_items") == 0


def test_too_large_a_body_is_refused_at_once():
    with serving() as server, wire(server) as client:
        assert client.ask(b"set a 0 0 2000000\r\nxyz\r\n") == b"SERVER_ERROR object too large for cache\r\n"
        client.quiet()


def test_answers_of_servers_are_not_answered():
    with serving() as server, wire(server) as client:
        for text in (b"ERROR\r\n", b"CLIENT_ERROR bad data chunk\r\n", b"SERVER_ERROR out of memory\r\n", b"\x81\x00" + bytes(22)):
            client.send(text)
            client.quiet()


def test_two_servers_do_not_answer_each_other_for_ever():
    """As if each had been sent a datagram in the other's name: what one says is put to the other."""
    with serving() as server, wire(server) as client:
        said, rounds = b"get a\r\n", 0
        while said and rounds < 10:
            rounds += 1
            request_id = client.send(said)
            end = client.send(b"version\r\n")
            data = client.socket.recv(65536)
            if FRAME.unpack(data[:8])[0] == end:
                said = b""
            else:
                assert FRAME.unpack(data[:8])[0] == request_id
                said = data[8:]
                client.socket.recv(65536)
        assert not said and rounds <= 3, rounds


def test_quit_is_not_answered_and_ends_nothing():
    with serving() as server, wire(server) as client:
        client.send(b"quit\r\n")
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.quiet()


def test_what_needs_a_connection_is_refused():
    with serving("-A") as server, wire(server) as client:
        for text in (b"shutdown\r\n", b"shutdown graceful\r\n", b"watch\r\n", b"watch fetchers mutations\r\n",
                     b"lru_crawler metadump all\r\n", b"lru_crawler mgdump all\r\n", b"lru_crawler metadump hash\r\n"):
            assert client.ask(text) == b"CLIENT_ERROR command not allowed\r\n", text
        assert client.ask(b"get a\r\n") == b"END\r\n"


def answers_by_udp(server):
    """Whether a datagram is answered. The kernel drops it while what was sent before fills the socket's queue."""
    with wire(server) as client:
        client.socket.settimeout(LOST_S)
        try:
            return client.ask(b"version\r\n").startswith(b"VERSION ")
        except TimeoutError:
            return False


def test_random_datagrams_harm_nobody():
    import random
    words = [b"get", b"set", b"a", b"0", b"5", b"\r\n", b" ", b"noreply", b"mg", b"ms", b"v", b"\x80", b"\x00", b"quit", b"stats",
             b"abcde", b"incr", b"1" * 300, b"lru_crawler", b"metadump", b"all", b"watch", b"mgdump", b"hash"]
    source = random.Random(7)
    with serving("-t", "2") as server, wire(server) as client:
        for _ in range(3000):
            text = b"".join(source.choice(words) + source.choice((b" ", b"", b"\r\n")) for _ in range(source.randrange(12)))
            frame = FRAME.pack(source.randrange(65536), 0, source.choice((1, 1, 1, 0, 2)), 0)
            client.socket.send((frame + text)[:source.choice((8, 9, 20, 65000))])
        eventually(lambda: answers_by_udp(server), "it answers still")
        alive(server)


def test_flood_beside_tcp():
    with serving("-t", "2") as server, wire(server) as client, server.client() as tcp:
        for i in range(2000):
            client.socket.send(FRAME.pack(i, 0, 1, 0) + b"get a b c\r\n")
            if i % 100 == 0:
                tcp.store(b"k", b"v")
        assert tcp.number(b"curr_items") == 1


# ---- options ----

def links_of(pid):
    """What a process has open; what it closes meanwhile is left out."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(f"/proc/{pid}/fd/{fd}")


def test_off_unless_asked_for():
    with Server() as server:
        assert not any(text.startswith("udp:") for text in server.addresses)
        assert server.stats(b"settings")[b"udpport"] == b"0"
        with open("/proc/net/udp") as table, open("/proc/net/udp6") as table6:
            inodes = {line.split()[9] for line in (table.read() + table6.read()).splitlines() if ":" in line and "uid" not in line}
        links = set(links_of(server.pid))
        assert links and not links & {f"socket:[{inode}]" for inode in inodes}


def test_without_tcp():
    with serving("-p", "0") as server:
        assert all(text.startswith("udp:") for text in server.addresses)
        with wire(server) as client:
            assert client.ask(b"set a 0 0 1\r\n1\r\n") == b"STORED\r\n"


def test_alone_it_names_the_tcp_port_too():
    code, out, err = run("-U", "70000")
    assert code == 64 and "must be a number from 0 to 65535" in err, (code, out, err)
    with serving() as server:
        assert server.stats(b"settings")[b"tcpport"] == b"1"
    with serving("-p", "11300") as server:
        assert server.stats(b"settings")[b"tcpport"] == b"11300"


def test_every_address_is_served():
    with serving(listen=("-l", "127.0.0.1:0,127.0.0.2:0,[::1]:0")) as server:
        assert [host for host, _ in server.udp] == ["127.0.0.1", "127.0.0.2", "::1"]
        for address in server.udp:
            with Wire(address) as client:
                assert client.ask(b"get a\r\n") == b"END\r\n"


def test_warns_beyond_loopback():
    with serving(listen=("-l", "127.0.0.1:0")) as server:
        assert "firewall" not in server.log_text()
    with serving(listen=("-l", "0.0.0.0:0")) as server:
        assert "firewall" in server.log_text()


def test_unix_socket_turns_it_off():
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        with Server("-U", "1", listen=("-s", os.path.join(folder, "s"))) as server:
            assert not any(text.startswith("udp:") for text in server.addresses)
            assert "-s turns UDP off" in server.log_text()


def test_stops_while_datagrams_come():
    with serving("-t", "2") as server, wire(server) as client:
        for i in range(500):
            client.socket.send(FRAME.pack(i, 0, 1, 0) + b"get a\r\n")


if __name__ == "__main__":
    main()
