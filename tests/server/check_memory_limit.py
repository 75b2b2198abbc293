"""The memory limit changed while serving: it holds, memory really comes back, and nothing is lost that fits."""
from harness import MIB, SANITIZED, Server, eventually, main

EMPTY = 7 * MIB       # what a server holds before the first item comes
ALLOWANCE = 24 * MIB  # beyond -m, buffers of connections aside
VALUE_SIZE = 1000
BATCH = 1000


def value_of(number):
    return (b"%d " % number) * VALUE_SIZE


def store(client, numbers):
    numbers = list(numbers)
    for at in range(0, len(numbers), BATCH):
        client.send(b"".join(b"set key%d 0 0 %d noreply\r\n%s\r\n" % (n, VALUE_SIZE, value_of(n)[:VALUE_SIZE])
                             for n in numbers[at:at + BATCH]))
        client.ask(b"version\r\n")


def delete(client, numbers):
    client.send(b"".join(b"delete key%d noreply\r\n" % n for n in numbers))
    client.ask(b"version\r\n")


def check_stored(client, numbers):
    for n in numbers:
        reply = client.ask(b"get key%d\r\n" % n, b"END\r\n")
        assert reply == b"VALUE key%d 0 %d\r\n%s\r\nEND\r\n" % (n, VALUE_SIZE, value_of(n)[:VALUE_SIZE]), reply[:80]


def limit(client, mib):
    assert client.ask(b"cache_memlimit %d\r\n" % mib) == b"OK\r\n"
    assert client.number(b"limit_maxbytes") == mib * MIB


def rss_falls_to(server, mib):
    if not SANITIZED:
        eventually(lambda: server.rss() <= mib * MIB + ALLOWANCE, f"RSS of {mib} MiB and the allowance")


def test_an_empty_server_holds_little():
    with Server("-m", "64", "-t", "2", weighed=True) as server:
        with server.client() as client:
            client.ask(b"version\r\n")
            eventually(lambda: client.number(b"uptime") >= 3, "its clock and its history have run")
        print(f"     {server.rss() / MIB:.1f} MiB (goal {EMPTY / MIB:.0f})")
        assert SANITIZED or server.rss() <= EMPTY, server.rss()


def test_a_lowered_limit_gives_memory_back_and_keeps_all_that_fits():
    with Server("-m", "256") as server, server.client() as client:
        store(client, range(200_000))
        delete(client, (n for n in range(200_000) if n % 5 >= 2))
        assert client.number(b"evictions") == 0
        limit(client, 112)
        rss_falls_to(server, 112)
        assert client.number(b"evictions") == 0 and client.number(b"curr_items") == 80_000
        check_stored(client, (n for n in range(0, 200_000, 7) if n % 5 < 2))


def test_a_limit_below_what_is_stored_evicts_no_more_than_it_must():
    with Server("-m", "256") as server, server.client() as client:
        store(client, range(150_000))
        limit(client, 64)
        rss_falls_to(server, 64)
        eventually(lambda: client.number(b"bytes") <= 64 * MIB, "what is stored fits below the limit")
        assert client.number(b"curr_items") * VALUE_SIZE > 48 * MIB


def test_a_limit_above_that_of_the_start_is_used():
    with Server("-m", "64") as server, server.client() as client:
        limit(client, 256)
        store(client, range(150_000))
        assert client.number(b"evictions") == 0 and client.number(b"curr_items") == 150_000
        check_stored(client, range(0, 150_000, 11))
        limit(client, 16)
        rss_falls_to(server, 16)


def test_what_cannot_be_is_refused_and_changes_nothing():
    with Server("-m", "64") as server, server.client() as client:
        assert client.ask(b"cache_memlimit 7\r\n").startswith(b"MEMLIMIT_TOO_SMALL")
        assert client.ask(b"cache_memlimit 900000000\r\n").startswith(b"MEMLIMIT_ADJUST_FAILED")
        assert client.number(b"limit_maxbytes") == 64 * MIB


if __name__ == "__main__":
    main()
