"""Where it listens: TCP addresses, IPv6, several at once, Unix sockets and their mode."""
import os
import socket
import stat
import tempfile

from harness import Client, Server, free_port, main, run


def no_server(*options):
    code, out, err = run("--admin-listen", "off", *options)
    assert code == 71 and err.count("\n") == 1, (code, out, err)
    return err


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def talks(address):
    with Client(address) as client:
        assert client.ask(b"version\r\n").startswith(b"VERSION ")


def test_loopback_unless_told_otherwise():
    port = free_port()
    with Server(listen=("-p", str(port))) as server:
        assert server.addresses == [f"127.0.0.1:{port}"]
        talks(("127.0.0.1", port))


def test_several_addresses_by_list_and_by_repetition():
    with Server(listen=("-l", "127.0.0.1:0,127.0.0.2:0", "-l", "127.0.0.3:0")) as server:
        assert [a.split(":")[0] for a in server.addresses] == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
        for index in range(3):
            talks(server.address(index))
        with server.client(0) as one, server.client(2) as other:
            one.store(b"shared", b"value")
            assert other.ask(b"get shared\r\n", b"END\r\n") == b"VALUE shared 0 5\r\nvalue\r\nEND\r\n"


def test_an_address_given_twice_counts_once():
    """As in memcached; a part of another one's text is another address, though."""
    with Server("-l", "127.0.0.1:0", "-l", "127.0.0.11:0", "-l", "127.0.0.1:0", listen=()) as server:
        assert [address.rsplit(":", 1)[0] for address in server.addresses] == ["127.0.0.1", "127.0.0.11"]


def test_host_without_port_takes_that_of_p():
    port = free_port()
    with Server("-p", str(port), listen=("-l", "127.0.0.5")) as server:
        assert server.addresses == [f"127.0.0.5:{port}"]


def test_ipv6_in_brackets():
    if not has_ipv6():
        return
    with Server(listen=("-l", "[::1]:0")) as server:
        assert server.addresses[0].startswith("[::1]:")
        talks(server.address())
        with server.client() as client:
            conns = client.ask(b"stats conns\r\n", b"END\r\n")
        assert b"listen_addr tcp6:[::1]:" in conns and b"addr tcp6:[::1]:" in conns


def test_an_address_in_use_is_one_line_and_an_exit_status():
    with Server() as server:
        host, port = server.address()
        wanted = f"cannot listen on {host}:{port}: Address already in use"
        assert wanted in no_server("-l", f"{host}:{port}")
        assert wanted in no_server("-l", host, "-p", str(port))


def test_addresses_that_are_none():
    assert "cannot listen on [::1" in no_server("-l", "[::1")
    for port in ("http", "65536", "99999", "-1", "", "1x"):
        assert f"cannot listen on 127.0.0.1:{port}: the port must be" in no_server("-l", f"127.0.0.1:{port}"), port
    assert "cannot listen on 192.0.2.1:0" in no_server("-l", "192.0.2.1:0")
    assert "cannot listen on no-such-host.invalid" in no_server("-l", "no-such-host.invalid")


def unix_server(folder, *options):
    os.chmod(folder, 0o777)
    return Server("-s", os.path.join(folder, "socket"), "-u", "root", *options, listen=())


def test_unix_socket_with_its_mode():
    for option, mode in (((), 0o700), (("-a", "770"), 0o770), (("-a", "0666"), 0o666)):
        with tempfile.TemporaryDirectory() as folder:
            with unix_server(folder, *option) as server:
                path = os.path.join(folder, "socket")
                assert server.addresses == [f"unix:{path}"]
                assert stat.S_IMODE(os.stat(path).st_mode) == mode
                talks(path)
            assert not os.path.exists(path), "removed at the end"


def test_unix_socket_turns_tcp_off():
    with tempfile.TemporaryDirectory() as folder, unix_server(folder) as server:
        inodes = {os.readlink(f"/proc/{server.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{server.pid}/fd")}
        listening = [line.split() for line in open(f"/proc/{server.pid}/net/tcp") if line.split()[3] == "0A"]
        assert not any(f"socket:[{fields[9]}]" in inodes for fields in listening)


def test_a_dead_servers_socket_is_taken_over():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "socket")
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
        with unix_server(folder):
            talks(path)


def test_a_living_servers_socket_and_a_plain_file_are_not():
    with tempfile.TemporaryDirectory() as folder, unix_server(folder):
        path = os.path.join(folder, "socket")
        assert f"cannot listen on {path}: Address already in use" in no_server("-s", path)
        talks(path)
        plain = os.path.join(folder, "plain")
        open(plain, "w").write("mine")
        assert f"cannot listen on {plain}: Address already in use" in no_server("-s", plain)
        assert open(plain).read() == "mine"


def test_a_path_as_long_as_can_be_and_one_longer():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        longest = os.path.join(folder, "s" * (107 - len(folder) - 1))
        with Server("-s", longest, "-u", "root", listen=()):
            with Client(longest) as client:
                conns = client.ask(b"stats conns\r\n", b"END\r\n").decode()
            assert f"listen_addr unix:{longest}\r\n" in conns
        code, out, err = run("-s", longest + "s")
        assert code == 64 and "must have 1 to 107 characters" in err


if __name__ == "__main__":
    main()
