"""Starting and ending the servers that tests and benchmarks compare: Vitrine, memcached, the floor.

Every server gets a free port of its own and is ended by its process id; nothing else on the machine is touched.
"""
import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time

START_S = 60  # how long a start may take; long, so that a slow machine fails no test
PORTS = (10000, 32000)
RESERVED_AT = "127.11.211.1"
PR_SET_THP_DISABLE = 41
_reserved = []

MEMCACHED = shutil.which("memcached", path=os.environ.get("PATH", "") + ":/usr/bin:/usr/local/bin")


def bound(address):
    """A socket that has this address, or None when another has it."""
    one = socket.socket()
    try:
        one.bind(address)
        return one
    except OSError:
        one.close()
        return None


def first_connecting_port():
    """The lowest port that the kernel gives to a connection."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as text:
        return int(text.read().split()[0])


def free_port():
    """A TCP port that is the caller's until this process ends, also while no server has it yet, or no more.

    No connection is given it, for it lies below those ports, and no other test: the same port at an address that nobody
    uses stands for it. (tests/browser/lib/server.mjs does the same.)
    """
    low, high = PORTS[0], min(PORTS[1], first_connecting_port())
    while True:
        port = low + secrets.randbelow(high - low)
        reservation = bound((RESERVED_AT, port))
        probe = reservation and bound(("127.0.0.1", port))
        if probe:
            probe.close()
            _reserved.append(reservation)
            return port
        if reservation:
            reservation.close()


def without_huge_pages():
    """In the child that becomes a server to be weighed: the kernel gives no 2 MiB where 4 KiB were touched."""
    ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)


def rss_beside_store(pid):
    """What a Vitrine holds outside the store's address space, whose pages the maintainer readies when it sees fit. The
    store reserves that space at once: it is the one mapping of a GiB and more, and the parts for which it asks for huge
    pages. Pages of files are left out: code is the page cache's, and is dropped and mapped again whatever clients do."""
    total = size = held = 0
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("Size:"):
                size = int(line.split()[1])
            elif line.startswith("Anonymous:"):
                held = int(line.split()[1])
            elif line.startswith("VmFlags:") and size < 1 << 20 and "hg" not in line.split():
                total += held
    return total << 10


class Server:
    """A server process that listens on 127.0.0.1:port. A context manager: leaving it ends the process."""

    def __init__(self, name, command, port, core=None):
        self.name, self.command, self.port, self.core = name, command, port, core
        self.process = None

    def __enter__(self):
        pin = (lambda: os.sched_setaffinity(0, {self.core})) if self.core is not None else None
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        preexec_fn=pin)
        os.set_blocking(self.process.stderr.fileno(), False)
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = (self.process.stderr.read() or b"").decode(errors="replace").strip()
                self.stop()
                raise SystemExit(f"{self.name} did not start: {' '.join(self.command)}\n{said}")
        return self

    def __exit__(self, *unused):
        self.stop()

    def _answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            time.sleep(0.02)
            return False

    @property
    def pid(self):
        return self.process.pid

    def memory(self, field="VmRSS"):
        """Bytes of VmRSS (now) or VmHWM (the most it ever was)."""
        with open(f"/proc/{self.pid}/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
        raise SystemExit(f"{self.name} has gone away")

    def stat(self, name):
        """What `stats` says of that name, as a number."""
        text = b""
        with socket.create_connection(("127.0.0.1", self.port), 10) as link:
            link.sendall(b"stats\r\n")
            while not text.endswith(b"END\r\n"):
                part = link.recv(65536)
                if not part:
                    raise SystemExit(f"{self.name} broke off its stats")
                text += part
        for line in text.decode(errors="replace").splitlines():
            if line.startswith(f"STAT {name} "):
                return int(line.split()[2])
        raise SystemExit(f"{self.name} has no {name} in its stats")

    def cpu_seconds(self):
        """CPU time that the process has used."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as stat:
            user, system = stat.read().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stderr.close()


def cache_command(binary, port, options):
    """memcached's options, which both servers take; root has to name the user to run as."""
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    return [binary, "-l", "127.0.0.1", "-p", str(port), "-U", "0", *user, *options]


def vitrine(binary, *options, core=None, admin="off"):
    """Vitrine at a free port; its admin server is off unless an address is given."""
    port = free_port()
    command = cache_command(os.path.abspath(binary), port, options) + ["--admin-listen", admin]
    return Server("vitrine", command, port, core)


def memcached(*options, core=None):
    """The installed memcached at a free port."""
    if not MEMCACHED:
        raise SystemExit("memcached is not installed: run tools/install-deps.sh --tests")
    port = free_port()
    return Server("memcached", cache_command(MEMCACHED, port, options), port, core)


def floor(binary, key_size, value_size, core=None):
    """The server without a cache."""
    port = free_port()
    return Server("floor", [binary, str(port), str(key_size), str(value_size)], port, core)
