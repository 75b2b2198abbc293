#!/usr/bin/python3
"""Plays byte scripts against Vitrine and against the installed memcached and compares both to what is written.

Two sources: *.txt beside this file, and replies.json (single inputs with memcached 1.6.45's exact reply).
A script:
  # comment
  $ -X -F            options both servers are started with
  @vitrine           what follows is for that server alone, or those, if several are named: @debian is Debian's
                     memcached, which is older, @1.6.45 one that --memcached can name
  @ours              the same as @vitrine @1.6.45
  @both              ends that
  > text             sends text and a line end; \\r \\n \\t \\\\ \\xNN are bytes, ${x*251} repeats, ${name} is what was caught
  >> text            sends text as it is, without a line end
  *N text            sends text N times, as >> does; ${#} is the count
  < text             expects this line; ${name} catches a number, ${*} anything
  << closed          expects the connection to be closed
  % connect          opens a new connection and leaves the old one
  ? name +n          expects a counter of `stats` to have moved since the script began or was last asked
Besides, each command of commands.def and each error text of the sources must occur. The last line is
"N passed, N failed"."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WAIT_S = 30.0    # how long an expected byte may take; long, so that a slow machine fails no script
QUIET_S = 0.03   # how long to listen for bytes that nobody expects
BUSY = b"BUSY currently processing crawler request\r\n"

# Error texts that no client can bring about at will, and where they are tested instead.
ELSEWHERE = {
    "CLIENT_ERROR command not allowed": "nothing: each command that is refused says it in its own words",
    "SERVER_ERROR out of memory writing get response": "allocation failure",
    "SERVER_ERROR out of memory writing stats": "allocation failure",
    "CLIENT_ERROR unauthenticated": "check_auth.py, against memcached too",
    "CLIENT_ERROR authentication failure": "check_auth.py, against memcached too",
    "CLIENT_ERROR bad authentication token format": "check_auth.py, against memcached too",
    "CLIENT_ERROR auth token too long": "check_auth.py",
    "CLIENT_ERROR bad command line termination": "check_auth.py, against memcached too",
    "SERVER_ERROR reply too large for UDP": "check_udp.py",
    "SERVER_ERROR out of memory": "check_protocol_execute: full store without eviction",
}


class Mismatch(Exception):
    pass


class Side:
    """A server to play to, and which lines and replies are its own."""
    # By name: the marks of its lines, the key of its replies, options of its own.
    KINDS = {"vitrine": ({"@both", "@ours", "@vitrine"}, "ours", ["--admin-listen", "off"]),
             "memcached 1.6.45": ({"@both", "@ours", "@1.6.45"}, "reply", []),
             "memcached": ({"@both", "@debian"}, "debian", [])}
    MARKS = set().union(*(marks for marks, _, _ in KINDS.values()))

    def __init__(self, name, path):
        self.name, self.path = name, path
        self.marks, self.reply_key, self.options = self.KINDS[name]

    def reply(self, case):
        return case.get(self.reply_key, case["reply"])


def side_of_memcached(path):
    version = subprocess.run([path, "-V"], capture_output=True, text=True, check=True).stdout.split()[-1]
    return Side("memcached 1.6.45" if tuple(map(int, version.split("."))) >= (1, 6, 45) else "memcached", path)


class Server:
    """One server process on a Unix socket of its own."""

    def __init__(self, side, options):
        self.side = side
        self.folder = tempfile.TemporaryDirectory(prefix="transcript-")
        self.socket = os.path.join(self.folder.name, "s")
        self.process = subprocess.Popen([side.path, "-s", self.socket, "-u", "root", "-m", "64", "-t", "1",
                                         *side.options, *options],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                self.connect().close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Mismatch(f"{side.path} does not start: {self.stop()}")
                time.sleep(0.005)

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(WAIT_S)
        connection.connect(self.socket)
        return connection

    def stats(self):
        with self.connect() as connection:
            connection.sendall(b"stats\r\n")
            text = b""
            while not text.endswith(b"END\r\n"):
                text += connection.recv(65536)
        rows = (line.split(" ", 2) for line in text.decode().split("\r\n"))
        return {row[1]: int(row[2]) for row in rows if len(row) == 3 and row[2].isdigit()}

    def stop(self):
        self.process.kill()
        error = self.process.communicate()[1].decode(errors="replace")
        self.folder.cleanup()
        return error


def unescape(text):
    text = re.sub(r"\$\{(.)\*(\d+)\}", lambda m: m[1] * int(m[2]), text)
    return re.sub(rb"\\(r|n|t|\\|x[0-9a-fA-F]{2})",
                  lambda m: {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"\\": b"\\"}.get(m[1]) or bytes([int(m[1][1:], 16)]),
                  text.encode("latin-1"))


class Player:
    """Plays one script against one server."""

    def __init__(self, server):
        self.server = server
        self.connection = server.connect()
        self.got = b""
        self.caught = {}
        self.counters = server.stats()

    def receive(self):
        data = self.connection.recv(65536)
        self.got += data
        return bool(data)

    def send(self, text, end):
        for name, value in self.caught.items():
            text = text.replace("${%s}" % name, value)
        self.connection.sendall(unescape(text) + end)

    def line(self):
        while b"\n" not in self.got:
            try:
                if not self.receive():
                    raise Mismatch(f"closed after {self.got!r}")
            except TimeoutError:
                raise Mismatch(f"no line, but {self.got!r}") from None
        line, self.got = self.got.split(b"\n", 1)
        return line + b"\n"

    def expect(self, text):
        pattern, names = b"", []
        for part in re.split(r"(\$\{(?:[a-z]+|\*)\})", text):
            if not re.fullmatch(r"\$\{([a-z]+|\*)\}", part):
                pattern += re.escape(unescape(part))
            elif part == "${*}":
                pattern += b".*"
            elif part[2:-1] in self.caught:
                pattern += self.caught[part[2:-1]].encode()
            else:
                names.append(part[2:-1])
                pattern += rb"(\d+)"
        line = self.line()
        match = re.fullmatch(pattern + rb"\r\n", line, re.DOTALL)
        if match is None:
            raise Mismatch(f"expected {text!r}, got {line[:200]!r}")
        self.caught.update(zip(names, (group.decode() for group in match.groups())))

    def expect_closed(self):
        try:
            while self.receive():
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            raise Mismatch("not closed") from None
        self.expect_quiet()

    def expect_quiet(self):
        self.connection.settimeout(QUIET_S)
        try:
            self.receive()
        except OSError:
            pass
        self.connection.settimeout(WAIT_S)
        if self.got:
            raise Mismatch(f"unexpected {self.got[:200]!r}")

    def reconnect(self):
        self.expect_quiet()
        self.connection.close()
        self.connection = self.server.connect()

    def expect_moved(self, wanted):
        now = self.server.stats()
        for name, moved in wanted:
            if name not in now:
                raise Mismatch(f"stats has no {name}")
            if now[name] - self.counters[name] != moved:
                raise Mismatch(f"{name} moved by {now[name] - self.counters[name]}, not by {moved}")
        self.counters = now

    def play(self, lines):
        wanted = []
        for number, line in lines:
            verb, _, text = line.partition(" ")
            try:
                if verb != "?" and wanted:
                    self.expect_moved(wanted)
                    wanted = []
                if verb == ">":
                    self.send(text, b"\r\n")
                elif verb == ">>":
                    self.send(text, b"")
                elif verb.startswith("*"):
                    for count in range(int(verb[1:])):
                        self.send(text.replace("${#}", str(count)), b"")
                elif verb == "<":
                    self.expect(text)
                elif line == "<< closed":
                    self.expect_closed()
                elif line == "% connect":
                    self.reconnect()
                elif verb == "?":
                    name, moved = text.split()
                    wanted.append((name, int(moved)))
                else:
                    raise Mismatch(f"cannot read {line!r}")
            except Mismatch as mismatch:
                raise Mismatch(f"line {number}: {mismatch}") from None
        if wanted:
            self.expect_moved(wanted)
        self.expect_quiet()


def read_script(path, marks):
    """The options and the lines that are for the server of these marks."""
    options, lines, named = [], [], {"@both"}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("@"):
            named = set(line.split())
            if not named <= Side.MARKS:
                raise SystemExit(f"{path.name}: line {number}: no server is marked {' '.join(named - Side.MARKS)}")
        elif line.startswith("$"):
            options += line[1:].split()
        elif line and not line.startswith("#") and named & marks:
            lines.append((number, line))
    return options, lines


def play_script(path, side):
    options, lines = read_script(path, side.marks)
    server = Server(side, options)
    try:
        Player(server).play(lines)
    finally:
        error = server.stop()
        if "Sanitizer" in error:
            raise Mismatch(error)


# ---- replies.json ----

def case_bytes(text):
    end = b"" if text.endswith("\\n") else b"\n" if text.endswith("\\r") else b"\r\n"
    text = re.sub(r"\bK(\d+)\b", lambda m: "k" * int(m[1]), text).replace("BIG", "x" * 1048577)
    return unescape(text.replace("|", "\r\n")) + end


def normal(reply):
    """What is the server's own: CAS numbers, the version's tail, times, the size of an item in memory."""
    reply = re.sub(r"(VALUE \S+ \d+ \d+) \d+\r", r"\1 CAS\r", reply)
    reply = re.sub(r"VERSION [^\r]*", "VERSION", reply)
    reply = re.sub(r"^(ME \S+ exp=\S+ la=)\d+( cas=\d+ fetch=\S+ cls=\d+ size=)\d+", r"\1AGE\2SIZE", reply)
    reply = re.sub(r"^((?:HD|VA)\b.*) t\d+", r"\1 tTTL", reply)
    return re.sub(r"ITEM (\S+) \[(\d+) b; \d+ s\]", r"ITEM \1 [\2 b]", reply)


def send_case(player, case):
    """Sends the input; again while memcached's crawler, which also starts by itself, is busy with another request."""
    deadline = time.monotonic() + WAIT_S
    while True:
        player.connection.sendall(case_bytes(case["input"]))
        if not case.get("crawls"):
            return
        line = player.line()
        if line != BUSY or player.server.side.name == "vitrine" or time.monotonic() > deadline:
            player.got = line + player.got
            return
        time.sleep(0.01)


def play_case(setup, case, side):
    expected = side.reply(case)
    server = Server(side, ["-A"])
    try:
        player = Player(server)
        player.connection.sendall(setup.encode())
        for _ in range(3):
            player.expect("STORED")
        send_case(player, case)
        for line in expected.split("\r\n")[:-1]:
            got = player.line().decode("latin-1")
            if normal(got) != normal(line + "\r\n"):
                raise Mismatch(f"expected {line!r}, got {got!r}")
        if case.get("closed"):
            player.expect_closed()
        else:
            player.expect_quiet()
    finally:
        server.stop()


# ---- what must occur ----

def uncovered(scripts, cases):
    sent, expected = set(), ""
    for path in scripts:
        for _, line in read_script(path, Side.KINDS["vitrine"][0])[1]:
            if line.startswith("> "):
                sent.add(line[2:].split(" ")[0])
            elif line.startswith("< "):
                expected += line[2:] + "\n"
    expected += "\n".join(case["reply"] for case in cases)
    commands = re.findall(r"^COMMAND\((\w+), \w+, \w+, [1-9]", (ROOT / "daemon/protocol/commands.def").read_text(), re.M)
    for command in commands:
        if command not in sent:
            yield f"no script sends {command}"
    texts = set(re.findall(r'^RESULT\(\w+, "\w+", "(.*?)", ', (ROOT / "daemon/base/results.def").read_text(), re.M))
    for source in sorted((ROOT / "daemon/protocol").glob("*.c")):
        texts |= set(re.findall(r'"((?:CLIENT_ERROR|SERVER_ERROR|ERROR|Error|MEMLIMIT_\w+|BADCLASS|NOSPARE|SAME)[ :][^"]+)"',
                                source.read_text()))
    for text in sorted(texts - set(ELSEWHERE)):
        if text not in expected:
            yield f"no script expects {text!r}"


def attempt(name, function, *arguments):
    try:
        function(*arguments)
        return None
    except (Mismatch, OSError) as error:
        return f"{name}: {error}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", help="Vitrine's binary; without it only memcached is asked")
    parser.add_argument("--memcached", default="/usr/bin/memcached", help="Debian's, or 1.6.45 or later")
    parser.add_argument("--only", default="", help="only what has this in its name")
    options = parser.parse_args()
    scripts = sorted(HERE.glob("*.txt"))
    replies = json.loads((HERE / "replies.json").read_text())
    sides = [side_of_memcached(options.memcached)] if os.path.exists(options.memcached) else []
    sides += [Side("vitrine", options.server)] if options.server else []
    jobs = []
    for side in sides:
        jobs += [(f"{side.name} {path.name}", play_script, path, side) for path in scripts]
        jobs += [(f"{side.name} reply to {case['input']!r}", play_case, replies["setup"], case, side)
                 for case in replies["cases"]]
    jobs = [job for job in jobs if options.only in job[0]]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        failures = [failure for failure in pool.map(lambda job: attempt(*job), jobs) if failure]
    passed = len(jobs) - len(failures)
    if not options.only:
        missing = list(uncovered(scripts, replies["cases"]))
        failures += missing
        passed += not missing
    for failure in failures:
        print("FAIL", failure)
    print(f"{passed} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
