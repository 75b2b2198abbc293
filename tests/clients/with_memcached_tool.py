"""memcached-tool, the Perl program that comes with memcached: tables of figures, and dumps of all keys."""
import socket
import subprocess
import time

from pymemcache.client.base import Client

from harness import Differs, Suite, equal, true

suite = Suite("memcached-tool")
PROGRAM = "/usr/share/memcached/scripts/memcached-tool"


def tool(address, *arguments):
    """The lines that it prints."""
    done = subprocess.run([PROGRAM, address, *arguments], capture_output=True, timeout=20, check=False, text=True)
    equal(done.returncode, 0)
    return done.stdout.splitlines()


def fill(target, count, expire=0):
    client = Client((target.host, target.port), timeout=5, default_noreply=False)
    keys = [target.key() for _ in range(count)]
    client.set_many({key: b"value of " + key.encode() for key in keys}, expire=expire, noreply=False)
    return keys


@suite.check
def display_has_a_row_a_class(target):
    fill(target, 50)
    lines = tool(target.address)
    true(lines[0].split()[:3] == ["#", "Item_Size", "Max_age"])
    true(any(int(line.split()[4]) >= 50 for line in lines[1:]))


@suite.check
def stats_and_settings_are_tables(target):
    for mode, name in (("stats", "curr_items"), ("settings", "maxbytes")):
        lines = tool(target.address, mode)
        true("Field" in lines[0])
        true(any(line.split()[0] == name for line in lines[1:]))


@suite.check
def sizes_answers(target):
    true("Size" in tool(target.address, "sizes")[0])


@suite.check
def unix_socket_is_asked(target):
    true(any(line.split()[0] == "pid" for line in tool(target.path, "stats")[1:]))


@suite.check
def keys_lists_every_key(target):
    keys = fill(target, 30, expire=1000)
    listed = {line.split()[0].removeprefix("key=") for line in tool(target.address, "keys") if line.startswith("key=")}
    equal(set(keys) - listed, set())


def first_line_of_a_dump(target):
    """There is one dump at a time: the one that the tool left may not have ended yet."""
    end = time.monotonic() + 20
    while True:
        with socket.create_connection((target.host, target.port), 20) as dump:
            dump.sendall(b"lru_crawler metadump all\r\n")
            line = dump.makefile("rb").readline()
        if not line.startswith(b"BUSY") or time.monotonic() > end:
            return line
        time.sleep(0.05)


@suite.check
def keys_stops_at_the_limit(target):
    """The tool counts lines. 1.6.45 begins the dump with a line OK, which 1.6.18, whose tool this is, does not."""
    fill(target, 30)
    count = sum(line.startswith("key=") for line in tool(target.address, "keys", "5"))
    begins_with_ok = first_line_of_a_dump(target) == b"OK\r\n"
    equal(count, 4 if begins_with_ok else 5)
    if begins_with_ok:
        raise Differs("the tool counts the line OK, with which memcached 1.6.45 begins a dump, as a key")


@suite.check
def dump_prints_commands_that_store_again(target):
    keys = fill(target, 30)
    lines = tool(target.address, "dump")
    for key in keys:
        at = next(i for i, line in enumerate(lines) if line.startswith(f"add {key} "))
        equal(lines[at + 1], f"value of {key}")
