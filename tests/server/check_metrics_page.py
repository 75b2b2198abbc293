"""What Prometheus scrapes stays small, whatever clients do."""
import os
import socket
import tempfile

from harness import MIB, PATIENCE_S, Server, main

PAGE_SIZE_MAX = 64 << 10
BANDS_AT_LEAST = 29


def page_of(path):
    """The body of /metrics."""
    with socket.socket(socket.AF_UNIX) as scraper:
        scraper.settimeout(PATIENCE_S)
        scraper.connect(path)
        scraper.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        reply = b""
        while part := scraper.recv(65536):
            reply += part
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    return body


def throw(server, data):
    """Sends it on a connection of its own and takes whatever comes."""
    with server.client() as client:
        client.send(data)
        client.socket.shutdown(socket.SHUT_WR)
        client.to_end()


def every_command(server):
    """Each command, to each end that is easily had."""
    lines = [b"get k", b"gets k", b"get none", b"gets none", b"gat 100 k", b"gat 100 none", b"gats 100 k", b"gats 100 none",
             b"touch k 100", b"touch none 100", b"incr k 1", b"incr none 1", b"incr text 1", b"decr k 1", b"decr none 1",
             b"decr text 1", b"delete gone", b"delete none", b"stats", b"stats items", b"version", b"verbosity 1",
             b"cache_memlimit 512", b"lru mode flat", b"slabs automove 0", b"lru_crawler enable", b"watch", b"refresh_certs",
             b"misbehave", b"shutdown", b"nonsense", b"get", b"incr k x", b"touch k x", b"flush_all x", b"extstore x", b"me k", b"me none", b"mg k v", b"mg none v", b"mg k E", b"ma k", b"ma none", b"ma text", b"ma k MD", b"md none",
             b"ms k 1\r\n1", b"ms k 1 MA\r\n1", b"ms k 1 C1\r\n1", b"ms none C1 1\r\n1", b"ms k x", b"ms k 9999999", b"md mk", b"mn"]
    with server.client() as client:
        for key, value in ((b"k", b"1"), (b"text", b"abc"), (b"gone", b"x")):
            client.store(key, value)
        unique = client.ask(b"gets k\r\n", b"END\r\n").split(b"\r\n")[0].split()[-1]
    for command in (b"set", b"add", b"replace", b"append", b"prepend"):
        for key in (b"k", b"none-" + command):
            for rest in (b"0 0 1\r\n1\r\n", b"0 0 x\r\n", b"0 0 1\r\n123\r\n", b"0 0 99999999\r\n"):
                throw(server, b"%s %s %s" % (command, key, rest))
    for what in (b"k 0 0 1 1", b"none 0 0 1 1", b"k 0 0 1 " + unique):
        throw(server, b"cas %s\r\n1\r\n" % what)
    for line in lines:
        throw(server, line + b"\r\n")


def test_the_page_fits_64_kib_with_every_command_and_nearly_every_size():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)  # the server may be nobody
        path = os.path.join(folder, "admin")
        with Server("-m", "512", "--admin-listen", f"unix:{path}") as server:
            every_command(server)
            with server.client() as client:
                size = 20
                while size < MIB - 100:  # what -I 1m allows
                    client.store(b"size-%d" % size, bytes(size))
                    size += size // 3
            page = page_of(path)
    bands = page.count(b"\nmemcached_slab_current_items{")
    commands = page.count(b"\nvitrine_command_duration_seconds_count{")
    print(f"     {len(page)} bytes, {bands} size bands, {commands} commands")
    assert bands >= BANDS_AT_LEAST and commands >= 13 and b'{command="mg",result="hit"}' in page
    assert len(page) <= PAGE_SIZE_MAX


if __name__ == "__main__":
    main()
