"""stats sizes: exact through everything that stores and removes, with -o track_sizes."""
from harness import Server, eventually, main

STEP = 32


def sizes(client):
    return {int(size): int(count) for size, count in client.stats(b"sizes").items()}


def test_off_unless_asked_for():
    with Server() as server, server.client() as client:
        assert client.ask(b"stats sizes\r\n", b"END\r\n") == b"STAT sizes_status disabled\r\nEND\r\n"
        assert client.ask(b"stats sizes_enable\r\n") == b"ERROR\r\n"


def test_each_step_of_sizes_is_told_exactly():
    with Server("-t", "2", "-o", "track_sizes") as server, server.client() as client:
        assert sizes(client) == {}
        for number in range(200):
            client.store(b"k%03d" % number, b"x" * (number * 16))
        found = sizes(client)
        assert all(size % STEP == 0 for size in found) and sum(found.values()) == 200
        assert sorted(found) == list(range(min(found), max(found) + 1, STEP)), found
        assert abs(max(found) - min(found) - 199 * 16) < STEP, found


def test_sizes_follow_what_becomes_of_items():
    with Server("-t", "2", "-o", "track_sizes") as server, server.client() as client:
        client.store(b"a", b"")
        small = sizes(client)
        client.ask(b"append a 0 0 500\r\n%s\r\n" % (b"x" * 500))
        assert sum(sizes(client).values()) == 1 and sizes(client) != small
        client.store(b"a", b"")
        assert sizes(client) == small
        client.store(b"huge", b"x" * 1000000)
        assert sorted(sizes(client).values()) == [1, 1] and max(sizes(client)) > 1000000
        client.ask(b"delete huge\r\n")
        assert sizes(client) == small
        client.ask(b"set soon 0 1 100\r\n%s\r\n" % (b"x" * 100))
        eventually(lambda: sizes(client) == small, "it expires")
        for number in range(100):
            client.ask(b"set many%d 0 0 1000\r\n%s\r\n" % (number, b"x" * 1000))
        assert sum(sizes(client).values()) == client.number(b"curr_items") == 101


def test_sizes_hold_under_eviction():
    with Server("-t", "2", "-m", "8", "-o", "track_sizes") as server, server.client() as client:
        value = b"y" * 1000
        for begin in range(0, 20000, 200):
            client.send(b"".join(b"set k%d 0 0 1000 noreply\r\n%s\r\n" % (begin + i, value) for i in range(200)))
        client.ask(b"version\r\n")
        assert client.number(b"evictions") > 0
        eventually(lambda: sum(sizes(client).values()) == client.number(b"curr_items"), "the maintainer rests")


if __name__ == "__main__":
    main()
