"""`stats settings`: every line that memcached prints, in its order, and its values where they are true here."""
import os
import subprocess
import tempfile

from harness import Client, Server, eventually, main
from known import MEMCACHED, USER, Places

# What memcached 1.6.45 prints besides Debian's 1.6.18.
SINCE = ["client_flags_size"]
# What both may say of themselves only: docs/stats.md says why.
OURS = {"inter", "domain_socket", "hash_algorithm", "lru_segmented", "temp_lru",
        "ssl_chain_cert", "ssl_key", "ssl_wbuf_size", "num_napi_ids", "memory_file"}


def listens(path):
    try:
        Client(path).socket.close()
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True


def lines(client):
    text = client.ask(b"stats settings\r\n", b"END\r\n").decode()
    return [tuple(line.split(" ", 2)[1:]) for line in text.split("\r\n") if line.startswith("STAT ")]


def of_memcached(*options):
    """memcached's lines."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        path = os.path.join(folder, "socket")
        process = subprocess.Popen([MEMCACHED, *USER, "-s", path, *options], stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: listens(path), "memcached listens")
            with Client(path) as client:
                return lines(client)
        finally:
            process.terminate()
            process.wait()


def of_vitrine(*options):
    with Server(*options) as server, server.client() as client:
        return lines(client)


def names(told):
    return [line[0] for line in told]


def values(told):
    return {line[0]: line[-1] if len(line) > 1 else "" for line in told}


def test_names_are_memcacheds_in_its_order():
    theirs, ours = names(of_memcached()), names(of_vitrine())
    known = set(theirs) | set(SINCE)
    assert [name for name in ours if name in theirs] == theirs, set(theirs) - set(ours)
    assert [name for name in ours if name in known] == theirs + SINCE
    assert ours[:len(theirs) + len(SINCE)] == theirs + SINCE, "what memcached does not have comes behind"


def differing(*options):
    theirs, ours = values(of_memcached(*options)), values(of_vitrine(*options))
    return {name: (value, ours.get(name)) for name, value in theirs.items() if ours.get(name) != value and name not in OURS}


def test_defaults_are_memcacheds_where_they_are_true_here():
    found = differing()
    # The port that this test listens on; a thread a CPU, where memcached starts four.
    assert set(found) <= {"tcpport", "num_threads", "num_threads_per_udp"}, found


def test_what_is_given_is_told_alike():
    options = ("-m", "80", "-c", "900", "-M", "-f", "1.5", "-n", "96", "-t", "3", "-R", "7", "-C", "-b", "77", "-I", "512k", "-F",
               "-X", "-A", "-v", "-D", "/", "-o", "no_maxconns_fast,hashpower=14,no_slab_reassign,no_slab_automove,slab_automove_ratio=0.5",
               "-o", "slab_automove_window=9,no_lru_crawler,lru_crawler_sleep=7,lru_crawler_tocrawl=9,tail_repair_time=70",
               "-o", "hot_lru_pct=30,warm_lru_pct=20,hot_max_factor=0.4,warm_max_factor=3,temporary_ttl=44,idle_timeout=55",
               "-o", "watcher_logbuf_size=100,read_buf_mem_limit=5,track_sizes,ext_item_size=100",
               "-o", "ext_item_age=9,ext_low_ttl=8,ext_recache_rate=7,ext_compact_under=6,ext_drop_under=5,ext_max_sleep=4",
               "-o", "ext_max_frag=0.3,slab_automove_freeratio=0.02,ext_drop_unread,ext_wbuf_size=2")
    found = differing(*options)
    assert set(found) <= {"tcpport", "slab_chunk_max"}, found  # the latter is cut to the largest item there


def test_the_socket_and_its_mode_are_told():
    with Places() as places, Server("-s", places.path("socket"), "-a", "777", *(["-u", "root"] if os.geteuid() == 0 else []),
                                    listen=()) as server, Client(places.path("socket")) as client:
        told = values(lines(client))
        assert told["domain_socket"] == places.path("socket") and told["umask"] == "777" and server.pid


if __name__ == "__main__":
    main()
