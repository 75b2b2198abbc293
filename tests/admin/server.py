"""Starts the daemon under test on ephemeral ports, and speaks to it: raw bytes, HTTP, memcached text."""

import base64
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

from servers import free_port, rss_beside_store, without_huge_pages  # noqa: E402

BINARY = os.environ.get("VITRINE", "build/vitrine")
PATIENCE_S = 30  # what never happens in a healthy run; long, so that a slow machine fails no test


def is_instrumented():
    with open(BINARY, "rb") as binary:
        code = binary.read()
    return b"__asan_init" in code or b"__tsan_init" in code


INSTRUMENTED = is_instrumented()


class Answer:
    """One HTTP response: status, headers (lower case, repeated ones joined) and body."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


def read_head(stream):
    line = stream.readline()
    if not line:
        return None, {}
    status = int(line.split()[1])
    headers = {}
    for line in iter(stream.readline, b"\r\n"):
        if not line:
            break
        name, _, value = line.decode("latin-1").partition(":")
        name, value = name.lower(), value.strip()
        headers[name] = headers[name] + ", " + value if name in headers else value
    return status, headers


def read_answer(stream, head=False):
    """The next response of the stream, or None at its end."""
    status, headers = read_head(stream)
    while status == 100:
        status, headers = read_head(stream)
    if status is None:
        return None
    if head or status in (204, 304):
        return Answer(status, headers, b"")
    if "content-length" in headers:
        return Answer(status, headers, stream.read(int(headers["content-length"])))
    return Answer(status, headers, stream.read())


class Server:
    def __init__(self, *options, admin=None):
        self.port = free_port()
        self.directory = tempfile.TemporaryDirectory()
        self.admin = free_port() if admin is None else 0
        self.log = open(os.path.join(self.directory.name, "log"), "w+b")
        address = admin or f"127.0.0.1:{self.admin}"
        command = [BINARY, "-l", "127.0.0.1", "-p", str(self.port), "-U", "0", "--admin-listen", address, *options]
        if os.geteuid() == 0:
            command += ["-u", "root"]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, preexec_fn=without_huge_pages)
        self.wait_until_up()

    def wait_until_up(self):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError("the daemon ended: " + self.output())
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1):
                    pass
                if not self.admin or self.request("GET", "/livez").status == 200:
                    return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("the daemon did not start: " + self.output())

    def output(self):
        self.log.flush()
        with open(self.log.name, "rb") as log:
            return log.read().decode("utf-8", "replace")

    def stop(self):
        """Ends the daemon; its exit status, which is not 0 after a sanitizer's report."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE_S)
        output = self.output()
        self.log.close()
        self.directory.cleanup()
        assert status == 0, f"exit status {status}: {output}"
        assert "ERROR: " not in output and "runtime error" not in output, output

    # ---- HTTP ----

    def connect(self, timeout=PATIENCE_S):
        return socket.create_connection(("127.0.0.1", self.admin), timeout)

    def host(self):
        return f"127.0.0.1:{self.admin}"

    def raw(self, data, head=False, timeout=PATIENCE_S):
        """Sends the bytes, reads one answer (None when the connection is closed without one)."""
        with self.connect(timeout) as connection:
            connection.sendall(data)
            with connection.makefile("rb") as stream:
                try:
                    return read_answer(stream, head)
                except ConnectionResetError:
                    return None

    def raw_all(self, data, timeout=PATIENCE_S):
        """Sends the bytes, ends the sending side, and reads every answer until the server closes or says so."""
        answers = []
        with self.connect(timeout) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as stream:
                try:
                    while (answer := read_answer(stream)) is not None:
                        answers.append(answer)
                        if answer.headers.get("connection") == "close":
                            break
                except ConnectionResetError:
                    pass
        return answers

    def request(self, method, target, body=None, timeout=PATIENCE_S, **headers):
        """headers: Content_Type="..."; a dict or list body is sent as JSON."""
        fields = {"Host": self.host()}
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            fields["Content-Type"] = "application/json"
        if body is not None:
            fields["Content-Length"] = str(len(body))
        fields.update({name.replace("_", "-"): value for name, value in headers.items()})
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields.items() if v is not None)
        return self.raw(head.encode("latin-1") + b"\r\n" + (body or b""), head=method == "HEAD", timeout=timeout)

    def get(self, target, **headers):
        return self.request("GET", target, **headers)

    def get_json(self, target):
        answer = self.get(target)
        assert answer.status == 200, (target, answer.status, answer.body)
        return answer.json()

    # ---- memcached text ----

    def cache(self, timeout=PATIENCE_S):
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def command(self, data, end=b"\r\n"):
        with self.cache() as connection:
            connection.sendall(data)
            reply = b""
            while not reply.endswith(end):
                part = connection.recv(65536)
                if not part:
                    break
                reply += part
            return reply

    def set(self, key, value, flags=0, ttl=0):
        line = b"set %s %d %d %d\r\n%s\r\n" % (key, flags, ttl, len(value), value)
        assert self.command(line) == b"STORED\r\n"

    def set_many(self, pairs):
        """Pipelined and quiet; ends when the server has done them all."""
        with self.cache(60) as connection:
            batch = b""
            for key, value in pairs:
                batch += b"set %s 0 0 %d noreply\r\n%s\r\n" % (key, len(value), value)
                if len(batch) > 65536:
                    connection.sendall(batch)
                    batch = b""
            connection.sendall(batch + b"version\r\n")
            reply = b""
            while not reply.endswith(b"\r\n"):
                reply += connection.recv(65536)
            assert reply.startswith(b"VERSION"), reply[:100]

    def stat(self, name):
        found = re.search(rb"STAT %s (\S+)\r\n" % name.encode(), self.command(b"stats\r\n", b"END\r\n"))
        return int(found.group(1))

    # ---- the process ----

    def rss(self):
        """Bytes in RAM beside the store; always 0 for an instrumented binary, whose memory is mostly its sanitizer's:
        that one checks for leaks when it ends."""
        return 0 if INSTRUMENTED else rss_beside_store(self.process.pid)

    def figure(self, name):
        """A figure of /metrics."""
        return int(re.search(rf"^{name} (\d+)$", self.get("/metrics").body.decode(), re.M).group(1))

    def settle(self):
        """Waits until the admin server has done all that it was asked: no request is counted but those that look."""
        def still():
            before = self.figure("vitrine_admin_requests_total")
            time.sleep(0.2)
            return self.figure("vitrine_admin_requests_total") == before + 1
        eventually(still, "no request is under way")

    def walk(self, query=""):
        """Every page of a walk over the keys; the keys as bytes."""
        keys, cursor, pages = [], None, 0
        while True:
            target = "/api/v1/keys?" + query + (f"&cursor={cursor}" if cursor else "")
            page = self.get_json(target)
            keys += [base64.b64decode(item["key_b64"]) for item in page["items"]]
            pages += 1
            cursor = page["next_cursor"]
            assert page["complete"] == (cursor is None)
            if cursor is None:
                return keys, pages


def eventually(condition, what):
    """Waits for what must come true, however slow the machine."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.02)


def percent(data):
    """Each byte as an escape: a key that no client library has touched."""
    return "".join(f"%{byte:02X}" for byte in data)


def is_closed(connection, seconds):
    """Whether the server ends the connection within that time; what it sends before is dropped."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([connection], [], [], left)[0]:
            return False
        try:
            if not connection.recv(65536):
                return True
        except ConnectionError:
            return True
    return False
