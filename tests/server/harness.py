"""What the server tests share: a server of one's own on a port of its own, clients, and a runner.

A test is a function test_*; it starts the server it needs and ends it by its pid. Environment: VITRINE names the
binary; VITRINE_SANITIZED=1 says that it is instrumented, so that its memory says nothing about the product's.
"""
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import servers  # noqa: E402

BINARY = os.path.abspath(os.environ.get("VITRINE", "build/vitrine"))
SANITIZED = os.environ.get("VITRINE_SANITIZED", "") not in ("", "0")
PATIENCE_S = 30  # what never happens in a healthy run; long, so that a slow machine fails no test
MIB = 1 << 20

free_port = servers.free_port


class Server:
    """A running vitrine. Used as a context; leaving it stops the server and checks that it ended well."""

    def __init__(self, *options, listen=("-l", "127.0.0.1:0"), files=None, weighed=False, codes=(0,)):
        """`files` limits its descriptors; `weighed` keeps the kernel from giving it 2 MiB where it touched 4 KiB;
        `codes` are the exit statuses it may end with."""
        self.options = [BINARY, "--admin-listen", "off", *listen, *options]
        self.files = files
        self.weighed = weighed
        self.codes = codes
        self.log = tempfile.TemporaryFile()

    def prepare(self):
        """In the child, before it becomes the server."""
        if self.files:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.files, self.files))
        if self.weighed:
            servers.without_huge_pages()

    def __enter__(self):
        self.process = subprocess.Popen(
            self.options, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, preexec_fn=self.prepare)
        self.pid = self.process.pid
        line = self.process.stdout.readline().decode().strip()
        assert line.startswith("vitrine: cache on "), f"no start-up line but {line!r}: {self.log_text()}"
        self.addresses = line[len("vitrine: cache on "):].split(",")
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process.stdout.close()
        text = self.log_text()
        self.log.close()
        if kind is None:
            assert "Sanitizer" not in text and "runtime error" not in text, text
            assert code in self.codes, f"exit status {code}: {text}"
        elif text:
            print(f"the server said: {text[-3000:]}")

    def log_text(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def address(self, index=0):
        host, port = self.addresses[index].rsplit(":", 1)
        return host.strip("[]"), int(port)

    def client(self, index=0):
        return Client(self.address(index))

    def status(self, name):
        with open(f"/proc/{self.pid}/status") as file:
            return next(line.split()[1] for line in file if line.startswith(name + ":"))

    def rss(self):
        return int(self.status("VmRSS")) << 10

    def rss_beside_store(self):
        return servers.rss_beside_store(self.pid)

    def cpu_s(self):
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def files_open(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def stats(self, group=b""):
        with self.client() as client:
            return client.stats(group)


class Client:
    """A blocking connection; every wait ends after PATIENCE_S."""

    def __init__(self, address, timeout=PATIENCE_S):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        if family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def fill(self):
        data = self.socket.recv(65536)
        self.rest += data
        return data

    def exact(self, size):
        while len(self.rest) < size:
            assert self.fill(), f"closed after {self.rest[-200:]!r}"
        data, self.rest = self.rest[:size], self.rest[size:]
        return data

    def until(self, end):
        while end not in self.rest:
            assert self.fill(), f"closed after {self.rest[-200:]!r}"
        at = self.rest.index(end) + len(end)
        data, self.rest = self.rest[:at], self.rest[at:]
        return data

    def to_end(self):
        """All that comes until the server closes; a reset is an end too."""
        try:
            while self.fill():
                pass
        except ConnectionResetError:
            pass
        data, self.rest = self.rest, b""
        return data

    def ask(self, request, end=b"\r\n"):
        return self.send(request).until(end)

    def store(self, key, value):
        assert self.ask(b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value)) == b"STORED\r\n"

    def stats(self, group=b""):
        text = self.ask(b"stats %s\r\n" % group if group else b"stats\r\n", b"END\r\n")
        return dict(line.split(b" ", 2)[1:] for line in text.split(b"\r\n") if line.startswith(b"STAT "))

    def number(self, name):
        return int(self.stats()[name])


def alive(server):
    with server.client() as client:
        assert client.ask(b"version\r\n").startswith(b"VERSION ")


def eventually(condition, what):
    """Waits for what must come true, however slow the machine; returns how long it took."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < PATIENCE_S, f"never came true: {what}"
        time.sleep(0.005)
    return time.monotonic() - begin


def run(*options, **environment):
    """A start that is expected to end by itself: its exit status, output and errors. `environment` is added to ours."""
    done = subprocess.run([BINARY, *options], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S,
                          env={**os.environ, **environment})
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def main():
    if not os.access(BINARY, os.X_OK):
        sys.exit(f"{BINARY} is not there: run make first")
    tests = {name: test for name, test in vars(sys.modules["__main__"]).items() if name.startswith("test_")}
    wanted = sys.argv[1:] or list(tests)
    failed = 0
    for name in wanted:
        begin = time.monotonic()
        try:
            tests[name]()
            print(f"ok   {name} ({time.monotonic() - begin:.2f} s)", flush=True)
        except Exception:
            failed += 1
            print(f"FAIL {name}\n{traceback.format_exc()}", flush=True)
    print(f"{len(wanted) - failed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed else 0)
