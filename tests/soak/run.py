"""The soak test: the real daemon under real load for as long as it is given, and nothing it says may be a lie.

Clients (client.py), each a process, use every text command on keys of their own and on keys of all, and hold each reply
against what they know (model.py). Beside them, drawn from the seed: memory limits go up and down, connections are
killed, clients die and come back, bodies stay half sent, replies unread; keys are walked and figures scraped by the admin
server. Checked each second: the process lives, and its memory stays within its limit, 24 MiB and the connections'
buffers. At the end: stored = current + removed, and nothing is left after a flush.

Environment: VITRINE names the binary. A binary with marked points (make PERTURB=1, SANITIZE=thread) takes the seed too.
"""
import argparse
import json
import multiprocessing
import os
import random
import re
import signal
import socket
import sys
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "admin")]

from client import Client  # noqa: E402
from model import Lie  # noqa: E402
from server import INSTRUMENTED, Server  # noqa: E402

MIB = 1 << 20
BESIDE_SIZE = 24 * MIB
BUFFERS_SIZE = 4 * MIB  # of a few dozen connections and four workers
SETTLE_S = 10  # in which memory must have fallen after the limit was lowered
LIMIT_MIB = (8, 64)
PROGRESS_S = 10
TALLIES = ["commands", "gets_sent", "gets_answered", "broken"]


class Tally:
    """Counts of one client's place, which outlive its process. One writer at a time."""

    def __init__(self):
        self.cells = multiprocessing.Array("Q", len(TALLIES), lock=False)

    def add(self, name, count):
        self.cells[TALLIES.index(name)] += count


def client_main(index, life, options, tally, stop, lies):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        Client(index, life, options, tally).run(stop)
    except Lie as lie:
        lies.put(f"client {index}.{life}: {lie}")
    except Exception:
        lies.put(f"client {index}.{life} failed:\n{traceback.format_exc()}")


class Soak:
    def __init__(self, options, server):
        self.options, self.server = options, server
        self.random = random.Random(options.seed)
        self.stop = multiprocessing.Event()
        self.lies = multiprocessing.Queue()
        self.tallies = [Tally() for _ in range(options.clients)]
        self.lives = options.lives = multiprocessing.Array("I", options.clients, lock=False)
        self.processes = [None] * options.clients
        self.limits = [(0, options.memory)]  # (when, MiB)
        self.begin = time.monotonic()
        self.done = dict.fromkeys(["limit", "kill", "restart", "flush", "half", "unread", "walk", "scrape", "keys walked"], 0)
        self.rss_most = 0.0

    # ---- clients ----

    def start_client(self, index):
        self.lives[index] += 1
        arguments = (index, self.lives[index], self.options, self.tallies[index], self.stop, self.lies)
        self.processes[index] = multiprocessing.Process(target=client_main, args=arguments, daemon=True)
        self.processes[index].start()

    def restart_client(self):
        index = self.random.randrange(len(self.processes))
        self.processes[index].kill()
        self.processes[index].join()
        self.start_client(index)

    # ---- what is done beside them ----

    def ask(self, command):
        with socket.create_connection(("127.0.0.1", self.server.port), 60) as connection:
            connection.sendall(command + b"\r\n")
            return connection.makefile("rb").readline().strip()

    def change_limit(self):
        mib = self.random.randint(*LIMIT_MIB)
        if self.random.random() < 0.5:
            reply = self.ask(b"cache_memlimit %d" % mib)
            if reply != b"OK":
                raise Lie(f"cache_memlimit {mib} was answered {reply!r}")
        else:
            self.send_json("PATCH", "/api/v1/settings", {"memory-limit": str(mib)})
        self.limits.append((time.monotonic(), mib))

    def send_json(self, method, path, body):
        text = json.dumps(body).encode()
        head = (f"{method} {path} HTTP/1.1\r\nHost: {self.server.host()}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n")
        answer = self.server.raw(head.encode() + text, timeout=60)
        if answer is None or answer.status >= 300:
            raise Lie(f"{method} {path} was answered {answer and answer.status} {answer and answer.body[:200]}")

    def get(self, path):
        text = f"GET {path} HTTP/1.1\r\nHost: {self.server.host()}\r\nConnection: close\r\n\r\n"
        answer = self.server.raw(text.encode(), timeout=60)
        if answer is None or answer.status != 200:
            raise Lie(f"GET {path} was answered {answer and answer.status}")
        return answer

    def kill_connection(self):
        items = self.get("/api/v1/connections").json()["items"]
        if not items:
            return
        number = self.random.choice(items)["id"]
        text = f"DELETE /api/v1/connections/{number} HTTP/1.1\r\nHost: {self.server.host()}\r\nConnection: close\r\n\r\n"
        answer = self.server.raw(text.encode(), timeout=60)
        if answer is None or answer.status not in (204, 404):
            raise Lie(f"closing connection {number} was answered {answer and answer.status}")

    def flush_later(self):
        if self.ask(b"flush_all 2") != b"OK":
            raise Lie("flush_all 2 was refused")

    def leave_half(self):
        """A body that never comes to its end: its key must never be seen."""
        name = b"half:%d" % self.random.randrange(50)
        with socket.create_connection(("127.0.0.1", self.server.port), 60) as connection:
            size = self.random.randrange(10, 900_000)
            connection.sendall(b"set %s 0 0 %d\r\n" % (name, size) + b"h" * self.random.randrange(size))
        if self.ask(b"get " + name) != b"END":
            raise Lie(f"{name.decode()} was stored from half a body")

    def leave_unread(self):
        """A client that asks for much and reads little."""
        with socket.create_connection(("127.0.0.1", self.server.port), 60) as connection:
            names = b" ".join(b"s:%d" % i for i in range(100))
            connection.sendall((b"get " + names + b"\r\n") * 50)
            connection.recv(1000)
            self.stop.wait(self.random.random() * 3)

    def walk(self):
        """All keys by the admin server: each must be one that a test would write."""
        cursor = ""
        while not self.stop.is_set():
            page = self.get(f"/api/v1/keys?limit=500{cursor}").json()
            for item in page["items"]:
                if not re.fullmatch(r"c\d+\.\d+[:#]\d+|s:\d+|all", item["key"]):
                    raise Lie(f"the walk found {item['key']!r}")
            self.done["keys walked"] += len(page["items"])
            if page["next_cursor"] is None:
                break
            cursor = "&cursor=" + page["next_cursor"]

    def scrape(self):
        self.get("/metrics")
        self.get("/api/v1/stats")

    def repeat(self, name, act, every_s, draw):
        """Does it again and again, on average so often, until the end."""
        try:
            while not self.stop.wait(draw.expovariate(1 / every_s) if every_s else 0):
                act()
                self.done[name] += 1
        except Lie as lie:
            self.lies.put(f"{name}: {lie}")
        except OSError:
            if not self.stop.is_set():
                self.lies.put(f"{name} failed:\n{traceback.format_exc()}")

    def start_beside(self):
        acts = [("limit", self.change_limit, 6), ("kill", self.kill_connection, 3), ("flush", self.flush_later, 60),
                ("half", self.leave_half, 2), ("unread", self.leave_unread, 2), ("walk", self.walk, 1),
                ("scrape", self.scrape, 1)]
        threads = []
        for name, act, every_s in acts:
            draw = random.Random(f"{self.options.seed} {name}")
            threads.append(threading.Thread(target=self.repeat, args=(name, act, every_s, draw), daemon=True))
            threads[-1].start()
        return threads

    # ---- watching ----

    def total(self, name):
        return sum(tally.cells[TALLIES.index(name)] for tally in self.tallies)

    def rss(self):
        with open(f"/proc/{self.server.process.pid}/status", encoding="ascii", errors="replace") as status:
            return next((int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS:")), 0)

    def rss_bound(self):
        now = time.monotonic()
        last = [mib for when, mib in self.limits if when <= now - SETTLE_S][-1:]
        return max(last + [mib for when, mib in self.limits if when > now - SETTLE_S]) * MIB + BESIDE_SIZE + BUFFERS_SIZE

    def watch(self):
        """What is wrong, as a line; None: nothing."""
        if not self.lies.empty():
            return self.lies.get()
        if self.server.process.poll() is not None:
            return f"the server ended with status {self.server.process.returncode}: {self.server.output()[-3000:]}"
        dead = [i for i, process in enumerate(self.processes) if not process.is_alive()]
        if dead and self.lies.empty():
            return f"clients {dead} ended"
        rss, bound = self.rss(), self.rss_bound()
        self.rss_most = max(self.rss_most, rss / bound)
        if rss > bound and not INSTRUMENTED:
            return f"RSS is {rss / MIB:.1f} MiB, the limits of the last {SETTLE_S} s allow {bound / MIB:.1f}"
        return None

    def progress(self):
        elapsed = time.monotonic() - self.begin
        said = ", ".join(f"{count} {name}" for name, count in self.done.items())
        print(f"{elapsed:6.0f} s: {self.total('commands')} commands, {self.total('broken')} connections broken, RSS "
              f"{self.rss() / MIB:.0f} MiB at a limit of {self.limits[-1][1]}; {said}", flush=True)

    # ---- the end ----

    def samples(self):
        text = self.get("/metrics").body.decode()
        return {name: float(value) for name, value in re.findall(r"^(vitrine_\S+|memcached_\S+) (\S+)$", text, re.M)}

    def check_books(self):
        """At rest: what was stored is there, or was removed for one reason."""
        s = self.samples()
        removed = {name: value for name, value in s.items() if name.startswith("vitrine_items_removed_total{")}
        stored, current = s["vitrine_items_stored_total"], s["memcached_current_items"]
        if not removed or stored != current + sum(removed.values()):
            return f"stored {stored:.0f}, current {current:.0f}, removed {removed}"
        print(f"       {stored:.0f} stored = {current:.0f} current + " +
              " + ".join(f"{value:.0f} {name.split(chr(34))[1]}" for name, value in removed.items()))
        answered, sent = self.total("gets_answered"), self.total("gets_sent")
        print(f"       {sent} keys asked for, of which {sent - answered} went unanswered with their connections")
        return None

    def check_empty(self):
        """After a flush and its sweep nothing is left."""
        if self.ask(b"flush_all") != b"OK":
            return "flush_all was refused"
        until = time.monotonic() + 60
        while (left := self.samples())["memcached_current_items"] or left["memcached_current_bytes"]:
            if time.monotonic() > until:
                return f"a flush leaves {left['memcached_current_items']:.0f} items"
            time.sleep(0.1)
        return self.check_books()

    def finish(self, threads):
        self.stop.set()
        for process in self.processes:
            process.join(90)
        for thread in threads:
            thread.join(90)
        if not self.lies.empty():
            return self.lies.get()
        return self.watch_end() or self.check_books() or self.check_empty()

    def watch_end(self):
        late = [i for i, process in enumerate(self.processes) if process.exitcode != 0]
        return f"clients {late} did not end" if late else None

    def run(self):
        for index in range(self.options.clients):
            self.start_client(index)
        threads = self.start_beside()
        shown = restarted = self.begin
        wrong = None
        while not wrong and time.monotonic() - self.begin < self.options.seconds:
            time.sleep(1)
            wrong = self.watch()
            now = time.monotonic()
            if now - restarted > 7 and not wrong:
                self.restart_client()
                self.done["restart"] += 1
                restarted = now
            if now - shown >= PROGRESS_S:
                self.progress()
                shown = now
        ended = self.finish(threads)
        self.progress()
        return wrong or ended


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("VITRINE_SEED", 0)) or random.randrange(1, 10**9))
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--memory", type=int, default=24, help="MiB to begin with")
    options = parser.parse_args()
    options.slack = 20 if INSTRUMENTED else 3
    options.flush_share = 0.004
    return options


def main():
    options = parse()
    print(f"soak: seed {options.seed}, {options.seconds:.0f} s, {options.clients} clients; "
          f"replay with VITRINE_SEED={options.seed}", flush=True)
    os.environ["VITRINE_SEED"] = str(options.seed)
    server = Server("-m", str(options.memory), "-t", "4")
    options.port = server.port
    soak = Soak(options, server)
    wrong = soak.run()
    try:
        if server.process.poll() is None:
            server.stop()
    except AssertionError as error:
        wrong = wrong or f"the server did not end well: {error}"
    if wrong:
        print(f"FAIL soak, seed {options.seed}: {wrong}")
    else:
        print(f"ok   soak: {soak.total('commands')} commands in {time.monotonic() - soak.begin:.0f} s, no lie; at most "
              f"{soak.rss_most:.0%} of the memory that was allowed; seed {options.seed}")
    print("0 passed, 1 failed" if wrong else "1 passed, 0 failed")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
