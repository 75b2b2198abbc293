"""Options: help, each refusal's line and exit status, the options file, and what becomes of the process."""
import os
import pwd
import signal
import socket
import subprocess
import tempfile

from harness import BINARY, Client, Server, eventually, main, run

EX_USAGE = 64


def refused(line, *options):
    code, out, err = run(*options)
    assert code == EX_USAGE and out == "" and err.count("\n") == 1, (options, code, out, err)
    assert err.rstrip("\n") == "vitrine: " + line, (err, line)


def config_file(text):
    file = tempfile.NamedTemporaryFile("w", suffix=".conf")
    file.write(text)
    file.flush()
    return file


def settings(server):
    return {name.decode(): value.decode() for name, value in server.stats(b"settings").items()}


def test_help_lists_every_option_and_ends_well():
    code, out, err = run("--help")
    assert code == 0 and err == ""
    for option in ("-p, --port=", "-m, --memory-limit=", "--admin-listen=", "-o, --extended="):
        assert option in out, option


def test_version_and_license():
    assert run("-V")[0] == 0 and run("--version")[1].startswith("vitrine ")
    assert "BSD 3-Clause License" in run("-i")[1]


def test_man_page_names_what_help_names():
    page = run("--man")[1]
    assert page.startswith(".TH VITRINE 1") and "\\-\\-memory\\-limit=MiB" in page


def test_numbers_out_of_range_are_refused():
    refused('-p (--port): must be a number from 0 to 65535, not "65536"', "-p", "65536")
    refused('-p (--port): must be a number from 0 to 65535, not "-1"', "-p", "-1")
    refused('-p (--port): must be a number from 0 to 65535, not "80x"', "--port=80x")
    refused('-m (--memory-limit): must be a number from 1 to 16777216 MiB, not "0"', "-m", "0")
    refused('-t (--threads): must be a number from 1 to 2147483647, not "0"', "-t0")
    refused('-c (--conn-limit): must be a number from 1 to 1000000, not ""', "--conn-limit=")
    refused('-R (--max-reqs-per-event): must be a number from 1 to 2147483647, not "0"', "-R", "0")
    refused('-b (--listen-backlog): must be a number from 0 to 2147483647, not "none"', "-b", "none")


def test_sizes_modes_and_words_are_checked():
    refused('-I (--max-item-size): must be a size from 1k to 1024m, as 512k or 1m, not "1023"', "-I", "1023")
    refused('-I (--max-item-size): must be a size from 1k to 1024m, as 512k or 1m, not "2g"', "-I", "2g")
    refused("-I (--max-item-size): must be at most half of -m, 4096k here", "-m", "8", "-I", "5m")
    refused('-a (--unix-mask): must be an octal mode from 0 to 777, not "789"', "-a", "789")
    refused('-D (--prefix-delimiter): must be one character, not "::"', "-D", "::")
    refused('-B (--protocol): must be auto, ascii or binary, not "udp"', "-B", "udp")
    refused('-d (--daemon): takes yes or no, not "perhaps"', "--daemon=perhaps")


def test_unknown_options_are_refused():
    refused("-y: there is no such option; see --help", "-y")
    refused("--nonsense: there is no such option; see --help", "--nonsense")
    refused("-m: needs a value; see --help", "-m")
    refused("--help=1: takes no value", "--help=1")
    refused("11211: options only, please; see --help", "11211")
    refused("-o warp: there is no such key; see --help", "-o", "warp=9")
    refused("-o idle_timeout: needs a value, as idle_timeout=1", "-o", "idle_timeout")
    refused("-o no_hashpower: only a switch has a no_ form", "-o", "no_hashpower")


def test_nothing_to_listen_on_is_refused():
    refused("nothing to listen on: -p 0 turns TCP off, and there is neither -U nor -s", "-p", "0")


def test_options_without_meaning_are_accepted_with_one_line_each():
    with Server("-f", "1.25", "-n", "48", "-o", "slab_reassign,hash_algorithm=xxh3", "-U", "0") as server:
        lines = server.log_text().splitlines()
        for word in ("-f (--slab-growth-factor)", "-n (--slab-min-size)", "-o slab_reassign", "-o hash_algorithm"):
            assert sum(word in line and "no meaning here" in line for line in lines) == 1, (word, lines)


def test_settings_are_told_as_memcached_tells_them():
    with Server("-m", "128", "-c", "77", "-t", "3", "-R", "5", "-b", "99", "-I", "512k", "-M", "-F", "-X", "-C", "-A",
                "-vv", "-o", "idle_timeout=9,no_maxconns_fast,hashpower=20") as server:
        told = settings(server)
    expected = {"maxbytes": "134217728", "maxconns": "77", "num_threads": "3", "reqs_per_event": "5",
                "tcp_backlog": "99", "item_size_max": "524288", "evictions": "off", "flush_enabled": "no",
                "dump_enabled": "no", "cas_enabled": "no", "shutdown_command": "yes", "verbosity": "2",
                "idle_timeout": "9", "maxconns_fast": "no", "hashpower_init": "20", "domain_socket": "NULL",
                "umask": "700", "udpport": "0", "binding_protocol": "auto-negotiate", "stat_key_prefix": ":"}
    assert {name: told.get(name) for name in expected} == expected


def test_defaults_are_memcacheds():
    with Server() as server:
        told = settings(server)
    expected = {"maxbytes": "67108864", "maxconns": "1024", "evictions": "on", "item_size_max": "1048576",
                "reqs_per_event": "20", "tcp_backlog": "1024", "maxconns_fast": "yes", "cas_enabled": "yes",
                "flush_enabled": "yes", "dump_enabled": "yes", "idle_timeout": "0", "verbosity": "0"}
    assert {name: told.get(name) for name in expected} == expected


def test_file_takes_all_forms_and_comments():
    text = "# a comment\n\n  -m 32   # behind\n-vv\nconn-limit 50\nthreads = 2\nidle_timeout=7\n-o track_sizes\ndisable-flush-all\n"
    with config_file(text) as file, Server("--config", file.name) as server:
        told = settings(server)
    assert (told["maxbytes"], told["maxconns"], told["num_threads"]) == ("33554432", "50", "2")
    assert (told["idle_timeout"], told["track_sizes"], told["verbosity"]) == ("7", "yes", "2")
    assert told["flush_enabled"] == "no"


def test_command_line_outranks_the_file():
    with config_file("-m 32\n-l 127.0.0.9\n-v\nthreads 2\n") as file:
        with Server("-m", "40", "-vvv", "--config", file.name) as server:
            told = settings(server)
    assert (told["maxbytes"], told["verbosity"], told["num_threads"]) == (str(40 << 20), "3", "2")
    assert told["inter"] == "127.0.0.1:0"


def test_file_errors_name_file_and_line():
    with config_file("-m 64\nport = http\n") as file:
        refused(f'{file.name}:2: -p (--port): must be a number from 0 to 65535, not "http"', "--config", file.name)
    with config_file("nonsense 1\n") as file:
        refused(f"{file.name}:1: --nonsense=1: there is no such option; see --help", "--config", file.name)
    with config_file("config other\n") as file:
        refused(f"{file.name}:1: --config: a file cannot name another", "--config", file.name)
    with config_file("-m " + "6" * 5000 + "\n") as file:
        refused(f"{file.name}:1: a line has at most 4094 characters", "--config", file.name)
    refused("--config /nowhere: No such file or directory", "--config", "/nowhere")


DEBIAN = """# memcached default config file
-d

# Log memcached's output to /var/log/memcached
logfile /var/log/memcached.log
# -v
-m 64

# Default connection port is 11211
-p 11211
-u memcache
-l 127.0.0.1
# -c 1024
-P /var/run/memcached/memcached.pid
"""


def test_debians_memcached_conf_is_read_as_it_is():
    """Its own file, word for word; only where it listens and who it becomes are outranked."""
    with tempfile.TemporaryDirectory() as folder, config_file(DEBIAN) as file:
        os.chmod(folder, 0o777)
        pidfile = os.path.join(folder, "pid")
        socket_path = os.path.join(folder, "socket")
        code, out, err = run("--config", file.name, "-s", socket_path, "-u", "root", "-P", pidfile, "--admin-listen", "off")
        assert code == 0 and out == f"vitrine: cache on unix:{socket_path}\n", (code, out, err)
        assert "--logfile has no meaning here" in err
        end_daemon(pidfile, socket_path)


def end_daemon(pidfile, socket_path):
    eventually(lambda: os.path.exists(pidfile), "the pid file is there")
    with open(pidfile) as file:
        pid = int(file.read())
    assert os.path.realpath(f"/proc/{pid}/exe") == os.path.realpath(BINARY)
    with Client(socket_path) as client:
        assert client.ask(b"version\r\n").startswith(b"VERSION ")
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: not os.path.exists(f"/proc/{pid}") or open(f"/proc/{pid}/stat").read().split()[2] == "Z", "it ended")
    assert not os.path.exists(pidfile) and not os.path.exists(socket_path)


def test_daemon_detaches_and_cleans_up():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        pidfile, path = os.path.join(folder, "pid"), os.path.join(folder, "socket")
        code, out, err = run("-d", "-P", pidfile, "-s", path, "-u", "root", "--admin-listen", "off")
        assert code == 0 and err == "", (code, err)
        eventually(lambda: os.path.exists(pidfile), "the pid file is there")
        pid = open(pidfile).read().strip()
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        assert fields[3] == pid, "leads a session of its own"
        assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
        end_daemon(pidfile, path)


def test_pidfile_in_a_missing_folder_is_a_line_not_an_end():
    with Server("-P", "/nowhere/at/all/pid") as server:
        assert server.client().ask(b"version\r\n").startswith(b"VERSION")
        assert "cannot write the pid file /nowhere/at/all/pid" in server.log_text()


def test_root_becomes_nobody_and_says_so():
    if os.geteuid() != 0:
        return
    with Server() as server:
        assert server.status("Uid") == str(pwd.getpwnam("nobody").pw_uid)
        assert "runs as nobody" in server.log_text()
        groups = open(f"/proc/{server.pid}/status").read().split("Groups:")[1].split("\n")[0].split()
        assert "0" not in groups
        assert server.status("NoNewPrivs") == "1"


def test_user_is_taken_or_refused():
    if os.geteuid() != 0:
        return
    with Server("-u", "daemon") as server:
        assert server.status("Uid") == str(pwd.getpwnam("daemon").pw_uid)
    with Server("-u", "root") as server:
        assert server.status("Uid") == "0"
    code, out, err = run("-u", "no-such-user", "-l", "127.0.0.1:0", "--admin-listen", "off")
    assert code == 71 and "there is no user no-such-user" in err, (code, err)


def test_the_service_manager_is_told_when_it_serves_and_when_it_stops():
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "notify")
        manager.bind(path)
        os.chmod(path, 0o666)
        manager.settimeout(30)
        os.environ["NOTIFY_SOCKET"] = path
        try:
            with Server():
                assert manager.recv(64) == b"READY=1"
        finally:
            del os.environ["NOTIFY_SOCKET"]
        assert manager.recv(64) == b"STOPPING=1"


def listens(path):
    """The socket is there a moment before it listens."""
    try:
        Client(path).socket.close()
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True


def test_closed_standard_streams_are_no_clients_socket():
    """Otherwise the log's lines would go to whichever client got descriptor 2."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        path = os.path.join(folder, "socket")
        shell = f"exec '{BINARY}' -s '{path}' -u root --admin-listen off <&- >&- 2>&-"
        process = subprocess.Popen(["/bin/sh", "-c", shell])
        try:
            eventually(lambda: listens(path), "it listens")
            assert [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3
            with Client(path) as client:
                os.kill(process.pid, signal.SIGHUP)  # logs a line
                assert client.ask(b"version\r\n").startswith(b"VERSION ")
        finally:
            process.terminate()
            assert process.wait(30) == 0


def test_locked_memory_serves():
    with Server("-k", "-m", "8") as server:
        with server.client() as client:
            client.store(b"k", b"v" * 1000)


if __name__ == "__main__":
    main()
