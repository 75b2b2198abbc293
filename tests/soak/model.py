"""What a key may hold, as its one writer knows it, and what a reply may therefore say.

A key's truth is a list of candidates: one when every command was answered, more when a connection ended before its
last commands were. None stands for no item. An item may vanish at any time (eviction, expiry, flush): a miss is
always believed, and makes None the only candidate, so that what was gone cannot come back. Everything else that a
reply says must follow from a candidate; what does not is a Lie.
"""
import collections
import zlib
from dataclasses import dataclass, replace

NUMBER_LIMIT = 1 << 64


class Lie(Exception):
    """The server said what cannot be."""


@dataclass(frozen=True)
class Version:
    """One state of an item; `deadline` is the clock's time after which it must not be served, None: never."""
    value: bytes
    flags: int
    deadline: float = None
    cas: int = None
    connection: int = 0
    serial: int = 0


def describe(data):
    return f"{len(data)} bytes {data[:60]!r} crc {zlib.crc32(data):08x}"


class Key:
    """A key that one client writes. `slack` is how much later than its deadline an item may be seen: the server's clock
    counts whole seconds and is brought up to date a few times in each."""

    def __init__(self, name, slack):
        self.name = name
        self.slack = slack
        self.candidates = [None]
        self.before = []  # checksums of values that were its, so that a lie can be told apart
        self.last_cas = None
        self.story = collections.deque(maxlen=16)  # what was last done to it, for who has to find out

    def lie(self, what):
        said = ", ".join("nothing" if c is None else describe(c.value) for c in self.candidates)
        raise Lie(f"{self.name.decode()}: {what}; it may hold {said}. Before: " + "; ".join(self.story))

    def absent(self):
        return self.candidates == [None]

    def items(self):
        return [c for c in self.candidates if c is not None]

    def known(self):
        """The version whose cas is known; None: there is none."""
        return next((c for c in self.items() if c.cas is not None), None)

    def alive(self, version, now):
        return version is not None and (version.deadline is None or now <= version.deadline + self.slack)

    def miss(self, why="missed"):
        self.story.append(why)
        self.candidates = [None]

    def remember(self):
        self.before = (self.before + [zlib.crc32(c.value) for c in self.items()])[-8:]

    def hit(self, value, flags, cas, now):
        """The server served this. `now` is when it was asked."""
        self.story.append(f"hit {len(value)} bytes {value[:20]!r}")
        same = [c for c in self.items() if c.value == value and c.flags == flags]
        if not same:
            old = " (an older value of its own)" if zlib.crc32(value) in self.before else ""
            self.lie(f"served {describe(value)} with flags {flags}{old}")
        living = [c for c in same if self.alive(c, now)]
        if not living:
            self.lie(f"served {now - same[0].deadline:.1f} s after it expired")
        if cas is not None:
            living = [self.hit_cas(c, cas) for c in living]
        self.candidates = living

    def hit_cas(self, version, cas):
        if version.cas not in (None, cas):
            self.lie(f"its cas was {version.cas} and is {cas}")
        last = self.last_cas
        if last and last[0] == version.connection and last[1] < version.serial and last[2] >= cas:
            self.lie(f"the cas fell from {last[2]} to {cas}")
        self.last_cas = (version.connection, version.serial, cas)
        return replace(version, cas=cas)


class Change:
    """A command that may change a key. `after` gives what becomes of one candidate; the rest is common to all."""

    def __init__(self, key, text, noreply=False):
        self.key = key
        self.text = text
        self.noreply = noreply

    def after(self, version, now):
        raise NotImplementedError

    def lost(self, now):
        """It was sent, and nobody knows whether it was carried out."""
        self.key.remember()
        self.key.story.append(f"lost {self.text[:40]!r}")
        changed = [self.after(c, now) for c in self.key.candidates]
        self.key.candidates = list(dict.fromkeys(self.key.candidates + changed))

    def done(self, now, where=lambda version: True):
        """It was carried out, on a candidate of which `where` holds."""
        self.key.remember()
        self.key.story.append(f"done {self.text[:40]!r}")
        before = [c for c in self.key.candidates if where(c)]
        if not before:
            self.key.lie(f"{self.text[:60]!r} succeeded")
        self.key.candidates = list(dict.fromkeys(self.after(c, now) for c in before))

    def settle(self, reply, sent, now):
        raise NotImplementedError


class Store(Change):
    def __init__(self, mode, key, version, ttl, noreply=False):
        self.mode, self.version, self.ttl = mode, version, ttl
        self.wanted = key.known() if mode == "cas" else None
        extra = f" {self.wanted.cas}" if mode == "cas" else ""
        head = f"{mode} {key.name.decode()} {version.flags} {ttl} {len(version.value)}{extra}{' noreply' * noreply}\r\n"
        super().__init__(key, head.encode() + version.value + b"\r\n", noreply)

    def after(self, version, now):
        if self.mode in ("append", "prepend"):
            if version is None:
                return None
            first, second = version.value, self.version.value
            if self.mode == "prepend":
                first, second = second, first
            return replace(version, value=first + second, cas=None, connection=self.version.connection,
                           serial=self.version.serial)
        if self.mode in ("replace", "cas") and version is None:
            return None
        return replace(self.version, deadline=deadline(self.ttl, now))

    def settle(self, reply, sent, now):
        if self.noreply or reply == b"STORED":
            self.done(now, lambda version: self.may_store(version, sent))
        elif reply == b"NOT_STORED" and self.mode in ("add", "replace", "append", "prepend"):
            if self.mode == "add" and self.key.absent():
                self.key.lie("add found it there")
            if self.mode == "replace":
                self.key.miss()
            elif self.mode != "add" and None not in self.key.candidates:
                self.key.candidates.append(None)  # or it was there, and would have become too large
        elif reply == b"EXISTS" and self.mode == "cas":
            self.key.candidates = [c for c in self.key.items() if c.cas != self.wanted.cas] or \
                self.key.lie("cas found it changed")
        elif reply == b"NOT_FOUND" and self.mode == "cas":
            self.key.miss()
        elif reply.startswith(b"SERVER_ERROR out of memory"):
            if self.mode == "set":
                self.key.miss("no memory")  # the old value is gone too
        else:
            self.key.lie(f"{self.mode} was answered {reply!r}")

    def may_store(self, version, sent):
        if self.mode in ("set", "add"):
            return True
        if self.mode == "cas" and version is not None and version.serial != self.wanted.serial:
            return False
        return self.key.alive(version, sent)


class Delete(Change):
    def __init__(self, key, noreply=False):
        super().__init__(key, b"delete " + key.name + b" noreply" * noreply + b"\r\n", noreply)

    def after(self, version, now):
        return None

    def settle(self, reply, sent, now):
        if reply == b"DELETED" and self.key.absent():
            self.key.lie("deleted what was not there")
        if not self.noreply and reply not in (b"DELETED", b"NOT_FOUND"):
            self.key.lie(f"delete was answered {reply!r}")
        self.key.remember()
        self.key.miss("deleted, noreply" if self.noreply else "deleted")


class Touch(Change):
    def __init__(self, key, ttl):
        self.ttl = ttl
        super().__init__(key, b"touch %s %d\r\n" % (key.name, ttl))

    def after(self, version, now):
        return version and replace(version, deadline=deadline(self.ttl, now))

    def settle(self, reply, sent, now):
        if reply == b"TOUCHED":
            self.done(now, lambda version: self.key.alive(version, sent))
        elif reply == b"NOT_FOUND":
            self.key.miss()
        elif not reply.startswith(b"SERVER_ERROR out of memory"):
            self.key.lie(f"touch was answered {reply!r}")


class Count(Change):
    """incr or decr."""

    def __init__(self, key, delta, serial):
        self.delta, self.serial = delta, serial
        verb = b"incr" if delta >= 0 else b"decr"
        super().__init__(key, b"%s %s %d\r\n" % (verb, key.name, abs(delta)))

    def number(self, version):
        number = int(version.value) + self.delta
        return number % NUMBER_LIMIT if self.delta >= 0 else max(number, 0)

    def after(self, version, now):
        if version is None:
            return None
        text = b"%d" % self.number(version)
        return replace(version, value=text.ljust(len(version.value)), cas=None, serial=self.serial[1],
                       connection=self.serial[0])

    def settle(self, reply, sent, now):
        if reply == b"NOT_FOUND":
            self.key.miss()
        elif reply.isdigit():
            self.done(now, lambda version: self.key.alive(version, sent) and self.number(version) == int(reply))
        elif not reply.startswith(b"SERVER_ERROR out of memory"):
            self.key.lie(f"incr was answered {reply!r}")


def deadline(ttl, now):
    if ttl == 0:
        return None
    return now + ttl if ttl > 0 else -1e9


# ---- keys that all clients write ----

def shared_value(name, writer, version, pool):
    """The one value that this writer's version of this key has: it tells all three."""
    head = b"%s %s %d " % (name, writer, version)
    crc = zlib.crc32(head)
    start, size = crc % (len(pool) // 2), crc >> 8
    return head + pool[start:start + (size % 30000 if size % 50 == 0 else size % 700)]


class Shared:
    """What one client has seen of the shared keys: each writer's versions of a key only rise."""

    def __init__(self, pool):
        self.pool = pool
        self.seen = {}

    def foreign(self, name, value):
        """A key of another client: all that is put into it begins with its name and a number."""
        words = value.split(b" ", 2)
        if len(words) < 3 or words[0] != name or not words[1].isdigit():
            raise Lie(f"{name.decode()}: served {describe(value)} to another than its writer")

    def hit(self, name, value):
        if not name.startswith(b"s:"):
            return self.foreign(name, value)
        words = value.split(b" ", 3)
        if len(words) < 4 or words[0] != name or not words[2].isdigit() or \
                value != shared_value(name, words[1], int(words[2]), self.pool):
            raise Lie(f"{name.decode()}: served {describe(value)}, which nobody wrote for it")
        at = name, words[1]
        version = int(words[2])
        if version < self.seen.get(at, 0):
            raise Lie(f"{name.decode()}: version {version} of {words[1].decode()} came after {self.seen[at]}")
        self.seen[at] = version
        return None
