"""The admin server owes nothing to the cache's connections and workers, and they nothing to it."""

import socket
import threading

from server import PATIENCE_S, eventually

OPTIONS = ["-c", "20", "-t", "1"]


def connected(server):
    return server.get_json("/api/v1/stats")["connections"]["current"]


def wait_for_free_slots(server):
    """Until the connections of the test before are gone: a worker notices that in its own time."""
    eventually(lambda: connected(server) == 0, "no client is left")


def connect_one_more(server, clients):
    client = socket.create_connection(("127.0.0.1", server.port), PATIENCE_S)
    client.sendall(b"version\r\n")
    clients.append(client)


def every_slot_is_taken(server, clients):
    """Who came while a connection of the test before still held a place was turned away: then one more comes."""
    taken = connected(server) >= 20
    if not taken:
        connect_one_more(server, clients)
    return taken


def test_admin_answers_when_every_client_slot_is_taken(server):
    wait_for_free_slots(server)
    clients = []
    try:
        for _ in range(40):
            connect_one_more(server, clients)
        eventually(lambda: every_slot_is_taken(server, clients), "every slot is taken")
        for target in ("/livez", "/metrics", "/api/v1/stats", "/api/v1/keys", "/api/v1/connections", "/"):
            assert server.get(target).status == 200, target
        listed = server.get_json("/api/v1/connections")
        assert 0 < len(listed["items"]) <= 20
        assert server.request("PUT", "/api/v1/keys/while-full", {"value": "v"}).status == 201
    finally:
        for client in clients:
            client.close()


def test_admin_connections_take_no_client_slot(server):
    wait_for_free_slots(server)
    held = [server.connect() for _ in range(60)]
    clients = []
    for _ in range(15):
        client = server.cache()
        client.sendall(b"version\r\n")
        assert client.recv(100).startswith(b"VERSION")
        clients.append(client)
    assert server.stat("curr_connections") <= 20
    for connection in held + clients:
        connection.close()


def test_admin_answers_while_clients_stall(server):
    wait_for_free_slots(server)
    value = b"x" * 1000000
    server.set(b"large", value)
    stalled = []
    for _ in range(10):
        client = server.cache()
        client.sendall(b"get large\r\n" * 50)
        stalled.append(client)
    half = server.cache()
    half.sendall(b"set half 0 0 500000\r\n" + b"x" * 1000)
    for target in ("/livez", "/metrics", "/api/v1/stats", "/api/v1/keys/large", "/api/v1/connections"):
        assert server.get(target).status == 200, target
    for client in stalled + [half]:
        client.close()


def test_the_cache_answers_while_the_admin_is_busy(server):
    wait_for_free_slots(server)
    server.set_many((b"busy:%d" % i, b"v" * 50) for i in range(20000))
    stop, walks = threading.Event(), []

    def walk():
        while not stop.is_set():
            walks.append(len(server.walk("limit=1000&match=*7*")[0]))

    walkers = [threading.Thread(target=walk) for _ in range(2)]
    for walker in walkers:
        walker.start()
    try:
        for i in range(2000):
            key = b"busy:%d" % (i % 20000)
            assert server.command(b"get " + key + b"\r\n", b"END\r\n").startswith(b"VALUE")
    finally:
        stop.set()
        for walker in walkers:
            walker.join()
    assert walks and min(walks) > 0
