"""nginx with memcached_pass: pages out of the cache, its fallback, and what it makes of errors.

An nginx of its own runs in the foreground from a temporary folder, as the user who runs the test.
"""
import atexit
import functools
import gzip
import http.client
import os
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from pymemcache.client.base import Client

import servers
from harness import BRIEF_S, UNTIL_GONE_S, Suite, equal, true

suite = Suite("nginx memcached_pass")
PROGRAM = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
CONFIGURATION = """
daemon off; pid {folder}/pid; error_log {folder}/error.log info; worker_processes 1; {user}
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream kept {{ server {address}; keepalive 4; }}
    upstream ring {{ hash $uri consistent; server {servers[0]}; server {servers[1]}; server {servers[2]}; }}
    upstream second {{ server {dead} max_fails=1; server {address} backup; }}
    memcached_connect_timeout 2s; memcached_read_timeout 5s; memcached_send_timeout 5s;
    server {{
        listen 127.0.0.1:{port};
        default_type text/plain;
        location /plain/ {{ set $memcached_key $uri; memcached_pass {address}; }}
        location /query {{ set $memcached_key $arg_key; memcached_pass {address}; }}
        location /kept/ {{ set $memcached_key $uri; memcached_pass kept; }}
        location /ring/ {{ set $memcached_key $uri; memcached_pass ring; }}
        location /second/ {{ set $memcached_key $uri; memcached_pass second; memcached_next_upstream error timeout; }}
        location /unix/ {{ set $memcached_key $uri; memcached_pass unix:{path}; }}
        location /six/ {{ set $memcached_key $uri; memcached_pass {six}; }}
        location /gzip/ {{ set $memcached_key $uri; memcached_pass {address}; memcached_gzip_flag 2; gunzip on; }}
        location /back/ {{ set $memcached_key $uri; memcached_pass {address}; error_page 404 502 504 = @origin; }}
        location /dead/ {{ set $memcached_key $uri; memcached_pass {dead}; error_page 404 502 504 = @origin; }}
        location @origin {{ return 200 "from the origin"; }}
    }}
}}
"""


@functools.lru_cache(maxsize=None)
def start(target):
    """The port of an nginx in front of the servers; it ends with the program."""
    folder, port = tempfile.mkdtemp(prefix="nginx-"), servers.free_port()
    path = os.path.join(folder, "nginx.conf")
    with open(path, "w", encoding="ascii") as out:
        out.write(CONFIGURATION.format(folder=folder, port=port, address=target.address, servers=target.servers, dead=target.dead,
                                       path=target.path, six=target.servers6[0],
                                       user="user nobody nogroup;" if os.geteuid() == 0 else ""))
    server = servers.Server("nginx", [PROGRAM, "-e", f"{folder}/error.log", "-p", folder, "-c", path], port)
    atexit.register(shutil.rmtree, folder, True)
    server.__enter__()
    atexit.register(server.stop)
    return port


def get(target, path, method="GET", **headers):
    """(status, body) of a request to nginx."""
    connection = http.client.HTTPConnection("127.0.0.1", start(target), timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def store(target, path, value, address=None, **options):
    host, port = (address or target.address).rsplit(":", 1)
    true(Client((host, int(port)), timeout=5, default_noreply=False).set(path, value, **options))


@suite.check
def page_comes_out_of_the_cache(target):
    store(target, "/plain/a", b"hello")
    equal(get(target, "/plain/a"), (200, b"hello"))


@suite.check
def absent_page_is_not_found(target):
    equal(get(target, "/plain/absent")[0], 404)


@suite.check
def absent_page_falls_back_to_the_origin(target):
    equal(get(target, "/back/absent"), (200, b"from the origin"))


@suite.check
def dead_cache_falls_back_to_the_origin(target):
    equal(get(target, "/dead/a"), (200, b"from the origin"))


@suite.check
def head_has_the_length_and_no_body(target):
    store(target, "/plain/head", b"12345")
    equal(get(target, "/plain/head", "HEAD"), (200, b""))


@suite.check
def empty_and_large_pages(target):
    for size in (0, 1, 4095, 4096, 16384, 16385, 1000000):
        value = (b"0123456789" * (size // 10 + 1))[:size]
        store(target, f"/plain/{size}", value)
        equal(get(target, f"/plain/{size}"), (200, value))


@suite.check
def page_of_every_byte(target):
    value = bytes(range(256)) + b"\r\nEND\r\nVALUE x 0 1\r\n"
    store(target, "/plain/bytes", value)
    equal(get(target, "/plain/bytes"), (200, value))


@suite.check
def spaces_and_controls_in_a_key_are_escaped(target):
    store(target, "/plain/a%20b", b"escaped")
    equal(get(target, "/plain/a%20b"), (200, b"escaped"))


@suite.check
def key_from_an_argument(target):
    store(target, "from-query", b"v")
    equal(get(target, "/query?key=from-query"), (200, b"v"))


@suite.check
def too_long_key_is_a_bad_gateway_or_missing(target):
    true(get(target, "/plain/" + "k" * 300)[0] in (404, 502))
    store(target, "/plain/after", b"v")
    equal(get(target, "/plain/after"), (200, b"v"))


@suite.check
def kept_connections_are_used_again(target):
    store(target, "/kept/a", b"v")
    for _ in range(200):
        equal(get(target, "/kept/a"), (200, b"v"))
        equal(get(target, "/kept/absent")[0], 404)
    total = Client((target.host, target.port), timeout=5).stats()[b"total_connections"]
    true(total < 200)


@suite.check
def ring_of_three_finds_the_page_s_server(target):
    paths = [f"/ring/{i}" for i in range(30)]
    for address in target.servers:
        for path in paths:
            store(target, path, address.encode(), address)
    answers = [get(target, path) for path in paths]
    equal({status for status, _ in answers}, {200})
    equal(len({body for _, body in answers}), 3)


@suite.check
def second_server_stands_in_for_a_dead_one(target):
    store(target, "/second/a", b"v")
    equal(get(target, "/second/a"), (200, b"v"))


@suite.check
def unix_socket_and_ipv6(target):
    Client("unix:" + target.path, timeout=5, default_noreply=False).set("/unix/a", b"u")
    store(target, "/six/a", b"6")
    equal([get(target, "/unix/a"), get(target, "/six/a")], [(200, b"u"), (200, b"6")])


@suite.check
def gzip_flag_is_told_by_the_item_s_flags(target):

    packed = gzip.compress(b"unpacked for those who do not take gzip")
    store(target, "/gzip/a", packed, flags=2)
    store(target, "/gzip/b", b"plain", flags=0)
    equal(get(target, "/gzip/b"), (200, b"plain"))
    equal(get(target, "/gzip/a"), (200, b"unpacked for those who do not take gzip"))
    equal(get(target, "/gzip/a", **{"Accept-Encoding": "gzip"}), (200, packed))


@suite.check
def page_expires(target):
    store(target, "/plain/short", b"v", expire=BRIEF_S)
    equal(get(target, "/plain/short"), (200, b"v"))
    time.sleep(UNTIL_GONE_S)
    equal(get(target, "/plain/short")[0], 404)


@suite.check
def many_at_once(target):
    store(target, "/kept/many", b"x" * 5000)
    with ThreadPoolExecutor(16) as pool:
        equal(set(pool.map(lambda _: get(target, "/kept/many"), range(400))), {(200, b"x" * 5000)})
