"""How the admin server is started, refused and restricted. Each test has a daemon of its own besides."""

import os
import socket
import stat
import subprocess
import tempfile

from server import BINARY, PATIENCE_S, Server, eventually, free_port, read_answer


def refused(*options):
    """What the daemon says when it does not start."""
    command = [BINARY, "-l", "127.0.0.1", "-p", str(free_port()), "-U", "0", *options]
    if os.geteuid() == 0:
        command += ["-u", "root"]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False)
    assert done.returncode != 0, options
    return (done.stdout + done.stderr).decode().strip()


def test_addresses_beyond_loopback_are_refused(server):
    for address in ("0.0.0.0:%d", "[::]:%d", "10.0.0.1:%d", "8.8.8.8:%d"):
        said = refused("--admin-listen", address % free_port())
        assert "loopback" in said and len(said.splitlines()) == 1, said


def test_addresses_that_make_no_sense_are_refused(server):
    for address in ("127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "host.example:9150", "unix:", "unix:" + "x" * 200,
                    "[127.0.0.1]:9150", "/run/x"):
        assert len(refused("--admin-listen", address).splitlines()) == 1, address


def test_a_given_address_that_is_taken_is_an_error(server):
    assert "in use" in refused("--admin-listen", f"127.0.0.1:{server.admin}")


def test_unix_sockets_are_the_owners_alone(server):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "admin.sock")
        other = Server(admin="unix:" + path)
        try:
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
            for host, status in (("localhost", 200), ("localhost:80", 200), ("evil.example", 421)):
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.connect(path)
                    connection.sendall(f"GET /livez HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                    assert read_answer(connection.makefile("rb")).status == status, host
            assert "in use" in refused("--admin-listen", "unix:" + path)
        finally:
            other.stop()
        assert not os.path.exists(path)


def test_a_stale_unix_socket_is_replaced_but_a_file_is_not(server):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "admin.sock")
        left_over = socket.socket(socket.AF_UNIX)
        left_over.bind(path)
        left_over.close()
        Server(admin="unix:" + path).stop()
        with open(path, "w", encoding="ascii") as file:
            file.write("precious")
        refused("--admin-listen", "unix:" + path)
        with open(path, encoding="ascii") as file:
            assert file.read() == "precious"


def test_off_means_off(server):
    other = Server(admin="off")
    try:
        assert other.command(b"version\r\n").startswith(b"VERSION")
    finally:
        other.stop()


def test_ipv6_loopback(server):
    port = free_port()
    other = Server(admin=f"[::1]:{port}")
    try:
        with socket.create_connection(("::1", port)) as connection:
            connection.sendall(f"GET /livez HTTP/1.1\r\nHost: [::1]:{port}\r\n\r\n".encode())
            assert read_answer(connection.makefile("rb")).status == 200
    finally:
        other.stop()


def test_flush_is_refused_with_f(server):
    other = Server("-F")
    try:
        other.set(b"kept", b"v")
        assert other.request("POST", "/api/v1/flush", {"confirm": "flush_all"}).status == 403
        assert other.get("/api/v1/keys/kept").status == 200
    finally:
        other.stop()


def test_keys_and_values_are_hidden_with_x(server):
    other = Server("-X")
    try:
        other.set(b"secret", b"v")
        for target in ("/api/v1/keys", "/api/v1/keys/secret", "/api/v1/keys/secret/value", "/api/v1/keys/absent"):
            assert other.get(target).status == 403, target
        assert other.get("/api/v1/stats").status == 200
    finally:
        other.stop()


def wait_for_ready(server, status):
    eventually(lambda: server.get("/readyz").status == status, f"/readyz is {status}")
    return server.get("/readyz?verbose")


def test_readyz_says_whether_clients_are_accepted(server):
    other = Server("-c", "5", "-o", "no_maxconns_fast")
    try:
        wait_for_ready(other, 200)
        clients = [socket.create_connection(("127.0.0.1", other.port)) for _ in range(10)]
        answer = wait_for_ready(other, 503)
        assert b"not accepting" in answer.body
        assert other.get("/livez").status == 200
        assert other.get_json("/api/v1/stats")["connections"]["accepting"] is False
        for client in clients:
            client.close()
        wait_for_ready(other, 200)
    finally:
        other.stop()
