"""What each option that is honoured does. Where another test shows it, HONOURED says which."""
import os
import pwd
import re
import resource
import signal
import subprocess
import tempfile

from harness import BINARY, PATIENCE_S, Client, Server, eventually, main, run
from known import Places, keys, letters

ROOT = os.geteuid() == 0
AS_ROOT = ["-u", "root"] if ROOT else []
NOBODY = pwd.getpwnam("nobody")
HERE = os.path.dirname(os.path.abspath(__file__))
LISTEN, SERVER = "../server/check_listen.py", "../server/check_options.py"
# memcached's letter or key of -o: where it is shown that it does what it says. None: nothing follows from it here.
HONOURED = {
    "p": LISTEN, "l": LISTEN, "s": LISTEN, "a": LISTEN, "U": "../server/check_udp.py", "A": "../server/check_stop.py",
    "d": "test_d_detaches_with_its_pid_file", "r": "test_r_raises_the_limit_on_core_files",
    "u": "test_u_takes_a_name_or_a_number", "m": "../server/check_memory_limit.py", "M": "test_m_upper_refuses_what_does_not_fit",
    "c": "../server/check_limits.py", "k": "test_k_locks_memory", "v": "test_v_says_more", "h": SERVER, "i": SERVER, "V": SERVER,
    "P": "test_d_detaches_with_its_pid_file", "L": "test_l_upper_serves", "D": "test_d_upper_counts_by_its_prefix",
    "t": "test_t_starts_as_many_workers", "R": "test_r_upper_gives_others_a_turn", "C": "test_c_upper_hides_cas",
    "b": "test_b_is_the_kernels_queue", "B": "../binary", "I": "test_i_upper_bounds_an_item", "F": "test_f_upper_refuses_flush_all",
    "X": "test_x_upper_refuses_dumps", "W": "../transcripts/watch.txt", "S": "../server/check_auth.py", "Y": "../server/check_auth.py",
    "Z": "../tls", "e": None, "o": "check_every_option.py", "f": None, "n": None, "N": None,
    "maxconns_fast": "../server/check_limits.py", "no_maxconns_fast": "../server/check_limits.py",
    "idle_timeout": "../server/check_limits.py", "track_sizes": "test_track_sizes_answers_stats_sizes",
}


def test_every_option_of_memcacheds_help_has_its_test():
    tests = globals()
    for option in letters():
        assert option.letter in HONOURED, option
        place = HONOURED[option.letter]
        assert place is None or place in tests or os.path.exists(os.path.join(HERE, place)), (option, place)


def answers(server, request, end=b"\r\n"):
    with server.client() as client:
        return client.ask(request, end)


# ---- the process ----

def test_d_detaches_with_its_pid_file():
    """The parent ends once the cache is served; the file is there by then, and goes with the server."""
    with Places() as places:
        path, pidfile = places.path("socket"), places.path("pid")
        code, out, err = run("-d", "-P", pidfile, "-s", path, *AS_ROOT, "--admin-listen", "off")
        assert code == 0 and err == "" and out == f"vitrine: cache on unix:{path}\n", (code, out, err)
        with open(pidfile, encoding="ascii") as file:
            pid = int(file.read())
        with Client(path) as client:
            assert int(client.stats()[b"pid"]) == pid != os.getpid()
        os.kill(pid, signal.SIGHUP)  # as memcached's, it does not end a daemon
        with Client(path) as client:
            assert client.ask(b"version\r\n").startswith(b"VERSION ")
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: not os.path.exists(pidfile) and not os.path.exists(path), "both files are gone")


def test_d_tells_why_it_did_not_start():
    with Server() as taken:
        host, port = taken.address()
        code, out, err = run("-d", "-l", f"{host}:{port}", "--admin-listen", "off")
        assert code == 71 and out == "" and "Address already in use" in err, (code, out, err)


def test_a_dead_servers_pid_file_is_taken_over():
    with Places() as places, subprocess.Popen(["true"]) as dead:
        dead.wait()
        for text in (str(dead.pid), "", "nonsense\n", "-1\n", "99999999999999999999\n"):
            with open(places.path("pid"), "w", encoding="ascii") as file:
                file.write(text)
            with Server("-P", places.path("pid"), *AS_ROOT) as server:
                with open(places.path("pid"), encoding="ascii") as file:
                    assert int(file.read()) == server.pid
                assert "pid file" not in server.log_text(), (text, server.log_text())


def test_a_running_process_in_the_pid_file_is_told():
    with Places() as places:
        with open(places.path("pid"), "w", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")
        with Server("-P", places.path("pid"), *AS_ROOT) as server:
            assert f"names process {os.getpid()}, which runs" in server.log_text()
            with open(places.path("pid"), encoding="ascii") as file:
                assert int(file.read()) == server.pid


def test_a_pid_file_that_names_another_is_left_to_it():
    with Places() as places:
        with Server("-P", places.path("pid"), *AS_ROOT):
            with open(places.path("pid"), "w", encoding="ascii") as file:
                file.write("1\n")
        with open(places.path("pid"), encoding="ascii") as file:
            assert file.read() == "1\n"


def test_u_takes_a_name_or_a_number():
    if not ROOT:
        return
    for user in ("nobody", str(NOBODY.pw_uid), "daemon"):
        with Server("-u", user) as server:
            wanted = NOBODY if user != "daemon" else pwd.getpwnam("daemon")
            assert server.status("Uid") == str(wanted.pw_uid) and server.status("Gid") == str(wanted.pw_gid), user
            assert "runs as" not in server.log_text()
    for user in ("no-such-user", "4294967294", "1x", "-1"):
        code, out, err = run("-u", user, "-l", "127.0.0.1:0", "--admin-listen", "off")
        assert code == 71 and out == "" and f"-u: there is no user {user}" in err, (user, code, err)


def as_nobody(command, limits):
    """Runs it as nobody under these limits: (process, to be ended by the caller)."""
    def prepare():
        for which, value in limits.items():
            resource.setrlimit(which, value)
        if ROOT:
            os.setgroups([])
            os.setgid(NOBODY.pw_gid)
            os.setuid(NOBODY.pw_uid)
    return subprocess.Popen(command, preexec_fn=prepare, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def said_as_nobody(limits, *options):
    """What the server says at its start to a user without rights."""
    with tempfile.TemporaryDirectory() as folder:
        binary = os.path.join(folder, "vitrine")
        with open(BINARY, "rb") as source, open(binary, "wb") as copy:
            copy.write(source.read())
        os.chmod(binary, 0o755)
        os.chmod(folder, 0o755)
        process = as_nobody([binary, "-l", "127.0.0.1:0", "--admin-listen", "off", *options], limits)
        try:
            assert process.stdout.readline().startswith("vitrine: cache on ")
            process.terminate()
            out, err = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, err
            return err
        finally:
            process.kill()
            process.wait()


def test_k_locks_memory():
    """Or says what keeps it from that, and serves."""
    said = said_as_nobody({resource.RLIMIT_MEMLOCK: (65536, 65536)}, "-k", "-m", "8")
    assert "-k: memory is not locked: the limit is 64 KiB" in said, said
    with Server("-k", "-m", "8", *AS_ROOT) as server:
        locked = int(re.search(r"VmLck:\s+(\d+)", open(f"/proc/{server.pid}/status").read())[1])
        assert locked > 0 or "-k: memory is not locked" in server.log_text()


def test_r_raises_the_limit_on_core_files():
    said = said_as_nobody({resource.RLIMIT_CORE: (0, 0)}, "-r")
    assert "-r: core files stay limited" in said, said
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    with Server("-r", *AS_ROOT) as server:
        soft = re.search(r"Max core file size\s+(\S+)", open(f"/proc/{server.pid}/limits").read())[1]
        assert soft == ("unlimited" if hard == resource.RLIM_INFINITY or ROOT else str(hard)) or "-r: core files" in server.log_text()


def test_v_says_more():
    """Of a client that does not speak TLS where it should."""
    with Places() as places, Server(*places.tls()) as quiet, Server(*places.tls(), "-v") as loud:
        for server in (quiet, loud):
            with server.client() as client:
                assert b"STORED" not in client.send(b"set k 0 0 1\r\nv\r\n").to_end()
        eventually(lambda: "TLS: no handshake" in loud.log_text(), "it is said")
        assert "TLS: no handshake" not in quiet.log_text()


def threads_of(server):
    return int(server.status("Threads"))


def test_t_starts_as_many_workers():
    with Server("-t", "1") as one, Server("-t", "5") as five:
        assert threads_of(five) - threads_of(one) == 4
        assert five.stats()[b"threads"] == b"5"


def test_t_above_64_serves_with_64():
    with Server("-t", "100") as server:
        assert server.stats(b"settings")[b"num_threads"] == b"64" and server.stats()[b"threads"] == b"64"
        assert "-t 100: serves with 64 worker threads" in server.log_text()


# ---- memory ----

def test_m_upper_refuses_what_does_not_fit():
    value = b"v" * 100000
    with Server("-m", "1", "-M") as server, server.client() as client:
        said = {client.ask(b"set k%d 0 0 %d\r\n%s\r\n" % (i, len(value), value)) for i in range(40)}
        assert said == {b"STORED\r\n", b"SERVER_ERROR out of memory storing object\r\n"}, said
        assert client.number(b"evictions") == 0 and client.ask(b"get k0\r\n", b"END\r\n").startswith(b"VALUE k0 ")


def test_i_upper_bounds_an_item():
    for given, size in (("1k", 1024), ("2048", 2048), ("2m", 2 << 20)):
        with Server("-I", given) as server, server.client() as client:
            assert client.ask(b"set k 0 0 %d\r\n%s\r\n" % (size, b"v" * size)) == b"SERVER_ERROR object too large for cache\r\n"
            client.store(b"k", b"v" * (size - 200))


def test_l_upper_serves():
    with Server("-L", "-m", "64") as server, server.client() as client:
        client.store(b"k", b"v" * 1000)


# ---- connections ----

def test_r_upper_gives_others_a_turn():
    with Server("-R", "2", "-t", "1") as server, server.client() as client:
        client.send(b"version\r\n" * 100)
        for _ in range(100):
            client.until(b"\r\n")
        eventually(lambda: client.number(b"conn_yields") > 0, "the flood had to wait")


def test_b_is_the_kernels_queue():
    """What `ss` shows as Send-Q of a listening socket: asked of the kernel through /proc, the queue's use is all there is; a
    server that is stopped takes at most one more than its queue holds."""
    with Server("-b", "2") as server:
        os.kill(server.pid, signal.SIGSTOP)
        taken = []
        try:
            for _ in range(20):
                try:
                    taken.append(Client(server.address(), timeout=0.3))
                except TimeoutError:
                    break
        finally:
            os.kill(server.pid, signal.SIGCONT)
        for client in taken:
            client.socket.close()
        assert 2 <= len(taken) <= 4, len(taken)


# ---- commands ----

def test_c_upper_hides_cas():
    with Server("-C") as server, server.client() as client:
        client.store(b"k", b"v")
        assert client.ask(b"gets k\r\n", b"END\r\n") == b"VALUE k 0 1 0\r\nv\r\nEND\r\n"


def test_f_upper_refuses_flush_all():
    with Server("-F") as server, server.client() as client:
        client.store(b"k", b"v")
        assert client.ask(b"flush_all\r\n") == b"CLIENT_ERROR flush_all not allowed\r\n"
        assert client.ask(b"get k\r\n", b"END\r\n").startswith(b"VALUE")


def test_x_upper_refuses_dumps():
    with Server("-X") as server:
        assert answers(server, b"stats cachedump 1 0\r\n") == b"CLIENT_ERROR stats cachedump not allowed\r\n"


def test_d_upper_counts_by_its_prefix():
    with Server("-D", "/") as server, server.client() as client:
        client.store(b"user/1", b"v")
        client.ask(b"get user/1\r\n", b"END\r\n")
        assert client.ask(b"stats detail dump\r\n", b"END\r\n") == b"PREFIX user get 1 hit 1 set 1 del 0\r\nEND\r\n"


def test_track_sizes_answers_stats_sizes():
    with Server("-o", "track_sizes") as server, server.client() as client:
        client.store(b"k", b"v" * 100)
        sizes = client.stats(b"sizes")
        assert sum(map(int, (value for name, value in sizes.items() if name.isdigit()))) == 1, sizes


if __name__ == "__main__":
    assert keys()
    main()
