"""Authentication: the auth file, the text protocol's door, and what is counted; the installed memcached is asked the
same questions where it answers alike."""
import contextlib
import os
import signal
import socket
import struct
import subprocess
import tempfile
import time

from harness import PATIENCE_S, Client, Server, eventually, main, run

MEMCACHED = next((path for path in ("/usr/bin/memcached", "/usr/local/bin/memcached") if os.access(path, os.X_OK)), None)
STORED = b"STORED\r\n"
UNAUTHENTICATED = b"CLIENT_ERROR unauthenticated\r\n"
FAILURE = b"CLIENT_ERROR authentication failure\r\n"
BAD_TOKEN = b"CLIENT_ERROR bad authentication token format\r\n"
TOO_LONG = b"CLIENT_ERROR auth token too long\r\n"
BAD_END = b"CLIENT_ERROR bad command line termination\r\n"
USERS = b"alice:wonder land\nbob:builder\n"


@contextlib.contextmanager
def auth_file(content=USERS):
    """A file of users that the user whom the server becomes may read."""
    with tempfile.NamedTemporaryFile(suffix=".auth") as file:
        os.chmod(file.name, 0o644)
        file.write(content)
        file.flush()
        yield file.name


@contextlib.contextmanager
def guarded(*options, content=USERS, **more):
    with auth_file(content) as path, Server("-Y", path, *options, **more) as server:
        server.auth_path = path
        yield server


@contextlib.contextmanager
def memcached(*options):
    """The installed memcached on a socket of its own, answering as our Server does."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        path = os.path.join(folder, "socket")
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        process = subprocess.Popen([MEMCACHED, "-s", path, "-U", "0", *user, *options], stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: os.path.exists(path) and connects(path), "memcached listens")
            yield path
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def connects(path):
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


def token(user, password):
    return b"%s %s" % (user, password)


def request(text, key=b"any"):
    return b"set %s 0 0 %d\r\n%s\r\n" % (key, len(text), text)


def refused(line, *options, environment=None):
    if environment is not None:
        os.environ.update(environment)
    code, out, err = run("-l", "127.0.0.1:0", "--admin-listen", "off", *options)
    assert code != 0 and out == "", (options, code, out, err)
    assert err.rstrip("\n").splitlines()[-1].endswith(line), (err, line)


# ---- the file ----

def test_start_is_refused_without_a_good_file():
    for content, what in ((b"", ": is empty: nobody could come in"),
                          (b"alice\n", ", line 1: is not user:password"),
                          (b"alice:a\nbob", ", line 2: is not user:password"),
                          (b"alice:a\n\n", ", line 2: is not user:password"),
                          (b":password\n", ", line 1: is not user:password"),
                          (b"alice:\n", ", line 1: is not user:password"),
                          (b"a\0b:c\n", ", line 1: is not user:password"),
                          (b"a:b\0c\n", ", line 1: is not user:password"),
                          (b"a" * 257 + b":b\n", ", line 1: a user or a password has more than 256 bytes"),
                          (b"a:" + b"b" * 257 + b"\n", ", line 1: a user or a password has more than 256 bytes"),
                          (b"u:p\n" * 65, ", line 65: more than 64 users"),
                          (b"x" * (1 << 20), ": File too large")):
        with auth_file(content) as path:
            refused(f"auth file {path}{what}", "-Y", path)
            refused(f"auth file {path}{what}", "-Y", path, "-S")
    refused("auth file /nonexistent/auth: No such file or directory", "-Y", "/nonexistent/auth")
    refused("auth file /: is not a regular file", "-Y", "/")
    refused("auth file /dev/zero: is not a regular file", "-Y", "/dev/zero")


def test_refused_file_is_never_quoted():
    with auth_file(b"alice:first\nthis-is-secret\n") as path:
        _, out, err = run("-l", "127.0.0.1:0", "--admin-listen", "off", "-Y", path)
        assert "secret" not in out + err and "first" not in out + err


def test_a_pipe_that_nobody_writes_to_does_not_hang_the_start():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "pipe")
        os.mkfifo(path)
        os.chmod(path, 0o644)
        refused(f"auth file {path}: is not a regular file", "-Y", path)


def test_last_newline_may_lack_and_lines_may_end_in_cr_lf():
    for content in (b"u:p", b"u:p\n", b"u:p\r\n", b"a:b\r\nu:p"):
        with guarded(content=content) as server, server.client() as client:
            assert client.ask(request(b"u p")) == STORED, content


def test_longest_words_and_the_last_of_64_users():
    user, password = b"u" * 256, b"p" * 256
    lines = b"".join(b"user%d:password%d\n" % (i, i) for i in range(63)) + user + b":" + password + b"\n"
    with guarded(content=lines) as server:
        for text in (token(user, password), b"user62 password62", b"user0 password0"):
            with server.client() as client:
                assert client.ask(request(text)) == STORED, text[:20]
        for text in (token(user + b"u", password), token(user, password + b"p"), token(user[1:], password),
                     token(user, password[1:])):
            with server.client() as client:
                assert client.ask(request(text)) == FAILURE, text[:20]


def test_world_readable_file_is_warned_of():
    with guarded() as server:
        eventually(lambda: "may read its passwords" in server.log_text(), "the warning")


def test_reload_takes_the_new_users_and_keeps_the_old_where_the_file_is_bad():
    with guarded() as server:
        with open(server.auth_path, "wb") as file:
            file.write(b"carol:new\n")
        os.kill(server.pid, signal.SIGHUP)

        def comes_in(text):
            with server.client() as client:
                return client.ask(request(text)) == STORED
        eventually(lambda: comes_in(b"carol new"), "the new user comes in")
        assert not comes_in(b"bob builder")
        with open(server.auth_path, "wb") as file:
            file.write(b"nonsense\n")
        os.kill(server.pid, signal.SIGHUP)
        eventually(lambda: "line 1: is not user:password" in server.log_text(), "the refusal is logged")
        assert comes_in(b"carol new")


def test_reload_leaves_those_in_who_are_in():
    with guarded() as server, server.client() as client:
        assert client.ask(request(b"bob builder")) == STORED
        with open(server.auth_path, "wb") as file:
            file.write(b"carol:new\n")
        os.kill(server.pid, signal.SIGHUP)
        client.store(b"k", b"v")


def test_reloads_beside_clients_that_authenticate():
    with guarded("-t", "2") as server:
        for round_ in range(40):
            os.kill(server.pid, signal.SIGHUP)
            clients = [server.client().send(request(b"bob builder") + b"version\r\n") for _ in range(8)]
            for client in clients:
                with client:
                    assert client.until(b"\n") == STORED and client.until(b"\n").startswith(b"VERSION "), round_


# ---- the door ----

def both_dialogues():
    """Sequences of (request, replies) that memcached 1.6.18 and 1.6.45 answer alike."""
    yield [(b"get foo\r\n", [UNAUTHENTICATED]), (b"mg foo v\r\n", [UNAUTHENTICATED]), (b"stats\r\n", [UNAUTHENTICATED]),
           (b"flush_all\r\n", [UNAUTHENTICATED]), (b"\r\n", [UNAUTHENTICATED]), (b"nonsense\r\n", [UNAUTHENTICATED]),
           (b"ms foo 2\r\n", [UNAUTHENTICATED]), (b"shutdown\r\n", [UNAUTHENTICATED]), (b"watch\r\n", [UNAUTHENTICATED])]
    yield [(b"add foo 0 0 2\r\n", [UNAUTHENTICATED]), (b"hi\r\n", [UNAUTHENTICATED]), (b"set foo 0 0\r\n", [UNAUTHENTICATED]), (b"set foo 0 0 x\r\n", [UNAUTHENTICATED]),
           (b"set foo 0 0 -1\r\n", [UNAUTHENTICATED])]
    yield [(b"set foo 0 0 2\r\nhi\r\n", [BAD_TOKEN]), (b"set foo 0 0 0\r\n\r\n", [BAD_TOKEN]),
           (b"set foo 0 0 2\r\nhi\n\n", [BAD_END]), (b"set foo 0 0 2\r\na b\r", [BAD_END])]
    yield [(request(b"bob build"), [FAILURE]), (request(b"bob builder"), [STORED]), (b"get foo\r\n", [b"END\r\n"])]
    yield [(b"set k 12 60 11 noreply\r\nbob builder\r\n", [STORED]), (b"set k 0 0 1\r\nv\r\nget k\r\n",
           [STORED, b"VALUE k 0 1\r\n", b"v\r\n", b"END\r\n"])]
    yield [(request(b"bob builder") + b"set a 0 0 1\r\n1\r\nget a\r\n", [STORED, STORED, b"VALUE a 0 1\r\n", b"1\r\n", b"END\r\n"])]


def test_each_pipelined_line_is_answered():
    """memcached keeps one answer of several."""
    with guarded() as server, server.client() as client:
        play(client, [(b"add foo 0 0 2\r\nhi\r\n", [UNAUTHENTICATED, UNAUTHENTICATED])])


def play(client, dialogue):
    for text, replies in dialogue:
        client.send(text)
        for reply in replies:
            assert client.until(b"\n") == reply, (text, reply)


def test_door_answers_as_memcached_does():
    with guarded("-A") as server:
        for dialogue in both_dialogues():
            with server.client() as client:
                play(client, dialogue)


def test_memcached_itself_answers_so():
    if MEMCACHED is None:
        return
    with auth_file() as path, memcached("-Y", path, "-A") as address:
        for dialogue in both_dialogues():
            with Client(address) as client:
                play(client, dialogue)


def test_token_ends_the_user_at_the_first_space():
    with guarded() as server, server.client() as client:
        assert client.ask(request(b"alice wonder land")) == STORED


def test_wrong_tokens_do_not_come_in():
    wrong = (b"alice wonder", b"alice wonder land ", b"alice  wonder land", b"Alice wonder land", b"bob wonder land", b"bob builde",
             b"bob builder\0", b"bob builderr", b" ", b" builder", b"bob ", b"bob\0builder x", b"x" * 16000 + b" y",
             b"x " + b"y" * 16000, b"alice:wonder land", b"bob builder\nalice:wonder land")
    with guarded() as server:
        clients = [server.client().send(request(text)) for text in wrong]
        for client, text in zip(clients, wrong):
            with client:
                want = FAILURE if b" " in text else BAD_TOKEN
                assert client.until(b"\n") == want, text[:40]
                assert client.ask(b"get k\r\n") == UNAUTHENTICATED, text[:40]


def test_version_and_quit_are_served_at_the_door():
    with guarded() as server, server.client() as client:
        assert client.ask(b"version\r\n").startswith(b"VERSION 1.6.")
        client.send(b"quit\r\n")
        assert client.to_end() == b""


def test_nothing_is_kept_of_what_came_before_authentication():
    with guarded() as server:
        with server.client() as client:
            client.send(b"set k 0 0 7\r\nval ue1\r\n")
            assert client.until(b"\n") == FAILURE
        with server.client() as client:
            assert client.ask(request(b"bob builder", key=b"token")) == STORED
            for key in (b"k", b"any", b"token"):
                assert client.ask(b"get %s\r\n" % key) == b"END\r\n"
            assert client.number(b"cmd_set") == 0 and client.number(b"curr_items") == 0


def test_token_over_16_kib_is_refused_and_the_connection_goes_on():
    with guarded() as server, server.client() as client:
        for size in (16385, 2147483646, 4294967295):
            assert client.ask(b"set k 0 0 %d\r\n" % size) == TOO_LONG, size
        for size in (4294967296, 18446744073709551615):
            assert client.ask(b"set k 0 0 %d\r\n" % size) == UNAUTHENTICATED, size
        assert client.ask(b"set k 0 0 20000\r\nbob builder\r\n", UNAUTHENTICATED) == TOO_LONG + UNAUTHENTICATED
        assert client.ask(request(b"bob builder")) == STORED


def test_endless_line_is_closed():
    with guarded() as server, server.client() as client:
        client.send(b"x" * 3000)
        assert client.to_end() == b""


def test_binary_magic_is_refused():
    with guarded() as server, server.client() as client:
        client.send(b"\x80\x0a" + bytes(22))
        assert client.to_end() == UNAUTHENTICATED


def test_token_in_single_bytes():
    with guarded() as server, server.client() as client:
        for byte in b"version\r\n" + request(b"alice wonder land") + b"version\r\n":
            client.send(bytes([byte]))
        assert client.until(b"\n").startswith(b"VERSION")
        assert client.until(b"\n") == STORED
        assert client.until(b"\n").startswith(b"VERSION")


def test_a_client_that_leaves_in_the_middle_of_its_token():
    with guarded() as server:
        for _ in range(20):
            with server.client() as client:
                client.send(b"set k 0 0 11\r\nbob buil")
        with server.client() as client:
            assert client.ask(request(b"bob builder")) == STORED


def test_ten_thousand_empty_lines_are_answered_one_by_one():
    with guarded() as server, server.client() as client:
        client.send(b"\r\n" * 10000)
        assert client.exact(10000 * len(UNAUTHENTICATED)) == UNAUTHENTICATED * 10000


def test_many_at_the_door_hold_little_memory():
    with guarded("-c", "600", weighed=True) as server:
        before = server.rss_beside_store()
        clients = [server.client().send(b"set k 0 0 16384\r\n" + b"x" * 8000) for _ in range(400)]
        with server.client() as client:
            assert client.ask(b"get k\r\n") == UNAUTHENTICATED
        held = server.rss_beside_store() - before
        for client in clients:
            client.socket.close()
        assert held < 400 * (64 << 10), held


# ---- slowing and counting ----

def test_failed_try_is_answered_late_and_nobody_else_waits():
    with guarded("-t", "1") as server, server.client() as good, server.client() as bad:
        assert good.ask(request(b"bob builder")) == STORED
        begin = time.monotonic()
        bad.send(request(b"bob guess1") + request(b"bob guess2") + request(b"bob builder"))
        while good.ask(b"get k\r\n") and time.monotonic() - begin < 0.25:
            pass  # served all the while
        for want in (FAILURE, FAILURE, STORED):
            assert bad.until(b"\n") == want
        assert time.monotonic() - begin > 0.9  # two tries, half a second each


def test_leaving_while_the_answer_waits():
    with guarded() as server:
        for _ in range(50):
            with server.client() as client:
                client.send(request(b"bob guess"))
        with server.client() as client:
            assert client.ask(request(b"bob builder")) == STORED
            eventually(lambda: client.number(b"curr_connections") == 1, "those who left are gone")


def test_stopping_while_the_answer_waits():
    with guarded() as server, server.client() as client:
        client.send(request(b"bob guess"))
        eventually(lambda: failures(server) == 1, "the try is judged")


def failures(server):
    with server.client() as client:
        assert client.ask(request(b"bob builder")) == STORED
        return client.number(b"auth_errors")


def test_tries_are_counted():
    with guarded() as server:
        clients = [server.client().send(request(b"bob guess%d" % i)) for i in range(3)]
        for client in clients:
            with client:
                assert client.until(b"\n") == FAILURE
        with server.client() as client:
            assert client.ask(b"get x\r\n") == UNAUTHENTICATED and client.ask(request(b"nospace")) == BAD_TOKEN
            assert client.ask(request(b"bob builder")) == STORED
            stats = client.stats()
            assert (stats[b"auth_cmds"], stats[b"auth_errors"]) == (b"4", b"3")


# ---- SASL ----

LIST, AUTH, STEP, BINARY_GET, BINARY_SET, BINARY_NOOP, BINARY_VERSION = 0x20, 0x21, 0x22, 0x00, 0x01, 0x0a, 0x0b
FINE, MISS, AUTH_ERROR, AUTH_CONTINUE, UNKNOWN = 0, 1, 0x20, 0x21, 0x81
HEAD = struct.Struct("!BBHBBHIIQ")


def frame(opcode, key=b"", value=b"", extras=b""):
    body = extras + key + value
    return HEAD.pack(0x80, opcode, len(key), len(extras), 0, 0, len(body), 0x1234, 0) + body


def answer(client):
    magic, opcode, _, _, _, status, size, opaque, _ = HEAD.unpack(client.exact(24))
    assert magic == 0x81 and opaque == 0x1234
    return opcode, status, client.exact(size)


def put(client, *arguments, **more):
    client.send(frame(*arguments, **more))
    return answer(client)[1]


def plain(user, password, identity=b""):
    return frame(AUTH, b"PLAIN", b"\0".join((identity, user, password)))


def test_sasl_plain_and_what_is_served_before():
    with guarded("-S") as server:
        for opcode in (BINARY_GET, BINARY_SET, BINARY_NOOP, 0x08, 0x10, 0x17):
            with server.client() as client:
                assert put(client, opcode, b"k") == AUTH_ERROR, opcode
                assert client.to_end() == b""
        with server.client() as client:
            assert put(client, BINARY_VERSION) == FINE and put(client, LIST) == FINE
            client.send(plain(b"bob", b"guess"))
            assert answer(client) == (AUTH, AUTH_ERROR, b"Auth failure.")
            client.send(plain(b"bob", b"builder") + frame(BINARY_SET, b"k", b"v", bytes(8)) + frame(BINARY_GET, b"k"))
            assert answer(client) == (AUTH, FINE, b"Authenticated")
            assert answer(client)[1] == FINE and answer(client)[2] == bytes(4) + b"v"
        with server.client() as client:
            client.send(plain(b"alice", b"wonder land", b"whoever"))
            assert answer(client)[1] == FINE
            assert put(client, BINARY_GET, b"k") == FINE


def test_sasl_failure_takes_back_what_was_allowed():
    """CVE-2013-7239."""
    with guarded("-S") as server, server.client() as client:
        client.send(plain(b"bob", b"builder"))
        assert answer(client)[1] == FINE
        client.send(plain(b"bob", b"guess"))
        assert answer(client)[1] == AUTH_ERROR
        assert put(client, BINARY_GET, b"k") == AUTH_ERROR


def test_sasl_in_two_steps_and_out_of_order():
    with guarded("-S") as server:
        with server.client() as client:
            assert put(client, AUTH, b"PLAIN") == AUTH_CONTINUE
            assert put(client, STEP, b"PLAIN", b"\0bob\0builder") == FINE
            assert put(client, BINARY_NOOP) == FINE
        with server.client() as client:
            assert put(client, STEP, b"PLAIN", b"\0bob\0builder") == AUTH_ERROR
        with server.client() as client:
            assert put(client, AUTH, b"CRAM-MD5", b"\0bob\0builder") == AUTH_ERROR


def test_sasl_failures_are_slowed_and_counted():
    with guarded("-S") as server, server.client() as client:
        begin = time.monotonic()
        for _ in range(2):
            client.send(plain(b"bob", b"guess"))
            assert answer(client)[1] == AUTH_ERROR
        assert time.monotonic() - begin > 0.9
        with server.client() as other:
            assert other.ask(request(b"bob builder")) == STORED
            stats = other.stats()
            assert (stats[b"auth_cmds"], stats[b"auth_errors"]) == (b"3", b"2")


def test_both_doors_stand_side_by_side_and_one_does_not_open_the_other():
    with guarded("-S") as server:
        with server.client() as text, server.client() as binary:
            assert text.ask(b"get k\r\n") == UNAUTHENTICATED
            binary.send(plain(b"bob", b"builder"))
            assert answer(binary)[1] == FINE
            assert text.ask(b"get k\r\n") == UNAUTHENTICATED
            assert text.ask(request(b"bob builder")) == STORED
            text.send(b"\x80\x0b" + bytes(22) + b"\r\n")
            assert text.until(b"\n") == b"ERROR\r\n"


def test_sasl_alone_takes_its_file_from_the_environment_and_closes_text():
    with auth_file() as path:
        os.environ["MEMCACHED_SASL_PWDB"] = path
        try:
            with Server("-S") as server:
                with server.client() as client:
                    client.send(request(b"bob builder") + b"get k\r\n")
                    assert b"STORED" not in client.to_end()
                with server.client() as client:
                    client.send(plain(b"bob", b"builder"))
                    assert answer(client)[1] == FINE
                    assert put(client, BINARY_NOOP) == FINE
        finally:
            del os.environ["MEMCACHED_SASL_PWDB"]


def test_without_sasl_its_opcodes_are_unknown():
    with Server() as server, server.client() as client:
        client.send(plain(b"bob", b"builder"))
        assert answer(client)[1] == UNKNOWN


# ---- options ----

def test_settings_tell_what_is_asked_for():
    with guarded() as server, server.client() as client:
        assert client.ask(request(b"bob builder")) == STORED
        stats = client.stats(b"settings")
        assert stats[b"auth_enabled_ascii"] == server.auth_path.encode() and stats[b"auth_enabled_sasl"] == b"no"
        assert stats[b"binding_protocol"] == b"ascii"
    with Server() as server:
        stats = server.stats(b"settings")
        assert stats[b"auth_enabled_ascii"] == b"no" and stats[b"auth_enabled_sasl"] == b"no"


def test_contradictory_options_are_refused():
    with auth_file() as path:
        udp = "-U (--udp-port): UDP knows no users and cannot be served beside "
        refused(udp + "-Y (--auth-file)", "-Y", path, "-U", "11211")
        refused(udp + "-S (--enable-sasl)", "-S", "-U", "11211")
        refused("-Y (--auth-file) leaves the ascii protocol alone: -B (--protocol) must be ascii", "-Y", path, "-B", "auto")
    refused("-S (--enable-sasl): needs a file of users: give --auth-file FILE, or name it in MEMCACHED_SASL_PWDB", "-S")


def test_no_password_is_ever_logged():
    with guarded("-vvv") as server:
        for text in (b"bob builder", b"bob sesame77", b"sesame77"):
            with server.client() as client:
                client.ask(request(text))
        log = server.log_text()
        assert "builder" not in log and "sesame77" not in log and "wonder" not in log


def memory_holds(pid, text):
    """Whether the bytes stand in memory that the process can write to, but for the address space that the store
    reserves: what was tried is never stored."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            bounds, rights = line.split()[:2]
            begin, end = (int(bound, 16) for bound in bounds.split("-"))
            if "w" in rights and end - begin < 1 << 27:
                with contextlib.suppress(OSError):
                    memory.seek(begin)
                    if text in memory.read(end - begin):
                        return True
    return False


def test_a_tried_password_is_left_nowhere_in_memory():
    """Secrets at the end of long tokens, where nothing that is allocated later happens to overwrite them."""
    def try_of(secret):
        return b"bob " + b"." * 300 + secret

    with guarded("-S", "-m", "16") as server:
        with server.client() as client:
            for byte in request(try_of(b"bytewise-secret")):
                client.send(bytes([byte]))
            assert client.until(b"\n") == FAILURE
            assert not memory_holds(server.pid, b"bytewise-secret")
            client.send(request(try_of(b"at-once-secret")) + b"version\r\n")
            assert client.until(b"\n") == FAILURE and client.until(b"\n").startswith(b"VERSION")
            assert not memory_holds(server.pid, b"at-once-secret")
            client.send(b"set k 0 0 400\r\n" + try_of(b"begun-secret"))
            eventually(lambda: memory_holds(server.pid, b"begun-secret"), "this test sees what is there")
        eventually(lambda: not memory_holds(server.pid, b"begun-secret"), "what was begun is wiped when its client leaves")
        with server.client() as client:
            client.send(plain(b"bob", b"." * 200 + b"sasl-secret"))
            assert answer(client)[1] == AUTH_ERROR
            assert not memory_holds(server.pid, b"sasl-secret")


if __name__ == "__main__":
    main()
