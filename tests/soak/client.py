"""A client of the soak test: one process, one connection, batches of commands, every reply held against the model."""
import random
import socket
import time
import zlib

from model import Count, Delete, Key, Lie, Shared, Store, Touch, Version, shared_value

OWN_KEYS = 6000
BUSY_KEYS = 50  # of one's own: half of all commands are for these
NUMBERS = 60
SHARED_KEYS = 150
BATCH_MAX = 48
BATCH_SIZE_MAX = 60_000
LARGE_MAX = 900_000
PATIENCE_S = 60
PLAIN_COMMANDS = [b"version", b"verbosity 0", b"stats", b"stats settings", b"stats items", b"stats slabs", b"stats sizes"]


def pool_of(seed):
    return random.Random(seed).randbytes(2 << 20)


class Plain:
    """A command whose answer is a line, or lines up to END."""

    def __init__(self, text):
        self.text = text + b"\r\n"

    def read(self, stream, sent):
        line = stream.line()
        while line.startswith(b"STAT "):
            line = stream.line()
        if not line.startswith((b"VERSION ", b"OK", b"END", b"RESET")):
            raise Lie(f"{self.text!r} was answered {line!r}")

    def lost(self, now):
        pass


class Changing:
    """A command of the model on its way."""

    def __init__(self, change):
        self.change = change
        self.text = change.text

    def read(self, stream, sent):
        """Believes that it was done where no reply is wanted; `doubt` takes that back."""
        reply = b"" if self.change.noreply else stream.line()
        self.before = self.change.key.candidates
        self.change.settle(reply, sent, time.monotonic())

    def doubt(self):
        key = self.change.key
        key.story.append("or not")
        key.candidates = list(dict.fromkeys(key.candidates + self.before))

    def lost(self, now):
        self.change.lost(now)


def unanswered(command):
    return isinstance(command, Changing) and command.change.noreply


class Flush:
    def __init__(self, keys):
        self.keys, self.text = keys, b"flush_all\r\n"

    def read(self, stream, sent):
        if stream.line() != b"OK":
            raise Lie("flush_all was refused")
        for key in self.keys:
            key.remember()
            key.miss("flushed")

    def lost(self, now):
        for key in self.keys:
            if None not in key.candidates:
                key.candidates.append(None)


class Get:
    """get, gets, gat or gats of own and shared keys."""

    def __init__(self, verb, keys, shared, ttl=None):
        self.verb, self.keys, self.ttl = verb, keys, ttl
        self.shared = shared
        names = [key if isinstance(key, bytes) else key.name for key in keys]
        self.text = verb + (b" %d " % ttl if ttl is not None else b" ") + b" ".join(names or [b"nobody's"]) + b"\r\n"
        self.touches = [Touch(key, ttl) for key in keys if ttl is not None and not isinstance(key, bytes)]

    def read(self, stream, sent):
        found = stream.values(self.verb in (b"gets", b"gats"))
        for key in self.keys:
            name = key if isinstance(key, bytes) else key.name
            item = found.pop(name, None)
            if isinstance(key, bytes):
                if item:
                    self.shared.hit(name, item[0])
            elif item:
                key.hit(*item, sent)
            else:
                key.miss()
        if found:
            raise Lie(f"{self.text[:60]!r} was answered with {sorted(found)[:3]}")
        for touch in self.touches:
            if not touch.key.absent():
                touch.settle(b"TOUCHED", sent, time.monotonic())

    def lost(self, now):
        for touch in self.touches:
            touch.lost(now)


class Ambivalent:
    """A write of a shared key: any orderly answer will do, since others write it too."""

    def __init__(self, text):
        self.text = text

    def read(self, stream, sent):
        reply = stream.line()
        if reply not in (b"STORED", b"NOT_STORED", b"EXISTS", b"NOT_FOUND", b"DELETED", b"TOUCHED") and \
                not reply.isdigit() and not reply.startswith(b"SERVER_ERROR out of memory"):
            raise Lie(f"{self.text[:60]!r} was answered {reply!r}")

    def lost(self, now):
        pass


class Stream:
    """A connection's replies."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self.socket.settimeout(PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb", 1 << 16)

    def line(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("closed")
        return line[:-2]

    def values(self, with_cas):
        """The VALUE blocks up to END, by key: (value, flags, cas)."""
        found = {}
        while (line := self.line()) != b"END":
            words = line.split(b" ")
            if words[0] != b"VALUE" or len(words) != 4 + with_cas or words[1] in found:
                raise Lie(f"a get was answered {line!r}")
            size = int(words[3])
            data = self.file.read(size + 2)
            if len(data) < size + 2:
                raise ConnectionError("closed")
            if data[size:] != b"\r\n":
                raise Lie(f"{words[1].decode()}: no line's end behind {size} bytes")
            found[words[1]] = data[:size], int(words[2]), int(words[4]) if with_cas else None
        return found

    def end(self):
        """Waits until the server has closed too: nothing that was sent is carried out after that."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
            while self.file.read(1 << 16):
                pass
        except OSError:
            pass
        self.file.close()
        self.socket.close()


class Client:
    def __init__(self, index, life, options, tally):
        self.random = random.Random(f"{options.seed} {index} {life}")
        self.name = b"c%d.%d" % (index, life)
        self.index, self.options, self.tally = index, options, tally
        self.pool = pool_of(options.seed)
        self.shared = Shared(self.pool)
        self.own = [Key(b"%s:%d" % (self.name, i), options.slack) for i in range(OWN_KEYS)]
        self.numbers = [Key(b"%s#%d" % (self.name, i), options.slack) for i in range(NUMBERS)]
        self.serial = 0
        self.connection = 0
        self.stream = None
        self.large = None

    # ---- drawing commands ----

    def draw_ttl(self):
        draw = self.random.random()
        if draw < 0.6:
            return 0
        if draw < 0.62:
            return -1
        return self.random.randint(1, 4) if draw < 0.85 else self.random.randint(10, 600)

    def draw_size(self):
        draw = self.random.random()
        if draw < 0.97:
            return int(self.random.expovariate(1 / 300)) % 3000
        return self.random.randrange(40_000) if draw < 0.998 else self.random.randrange(LARGE_MAX)

    def version(self, key, size=None):
        self.serial += 1
        head = b"%s %d " % (key.name, self.serial)
        start = zlib.crc32(head) % (len(self.pool) // 2)
        body = self.pool[start:start + (self.draw_size() if size is None else size)]
        return Version(head + body, self.serial % 3 and self.serial * 2654435761 % (1 << 32),
                       connection=self.connection, serial=self.serial)

    def draw_key(self):
        few = self.random.random() < 0.5
        return self.own[self.random.randrange(BUSY_KEYS if few else OWN_KEYS)]

    def draw_store(self):
        key = self.draw_key()
        mode = self.random.choice(["set"] * 6 + ["add", "replace", "append", "prepend", "cas"])
        if mode == "cas" and key.known() is None:
            mode = "set"
        joins = mode in ("append", "prepend")
        if joins and max([len(c.value) for c in key.items()], default=0) > LARGE_MAX:
            mode, joins = "set", False
        noreply = mode == "set" and self.random.random() < 0.05
        ttl = 0 if joins else self.draw_ttl()
        return Changing(Store(mode, key, self.version(key, 20 if joins else None), ttl, noreply))

    def draw_number(self):
        key = self.random.choice(self.numbers)
        self.serial += 1
        if self.random.random() < 0.1 or key.absent():
            number = Version(b"%d" % self.random.choice([0, 9, 98, 999, 2**64 - 3]), 0, connection=self.connection,
                             serial=self.serial)
            return Changing(Store("set", key, number, 0))
        if self.random.random() < 0.2:
            return Get(b"get", [key], self.shared)
        return Changing(Count(key, self.random.choice([1, 1, 7, -1, -100]), (self.connection, self.serial)))

    def draw_shared(self):
        name = b"s:%d" % self.random.randrange(SHARED_KEYS)
        draw = self.random.random()
        if draw < 0.6:
            return Get(b"get", [name], self.shared)
        if draw < 0.7:
            return Ambivalent(b"delete %s\r\n" % name if draw < 0.65 else b"touch %s %d\r\n" % (name, self.draw_ttl()))
        if draw < 0.75:
            return Ambivalent(b"incr all 1\r\n")
        self.serial += 1
        value = shared_value(name, self.name, self.serial, self.pool)
        verb = self.random.choice([b"set", b"set", b"add", b"replace"])
        return Ambivalent(b"%s %s 0 %d %d\r\n%s\r\n" % (verb, name, self.draw_ttl(), len(value), value))

    def draw_foreign(self):
        """Others' busy keys, so that they are read while they change."""
        index = self.random.randrange(len(self.options.lives))
        name = b"c%d.%d" % (index, self.options.lives[index])
        numbers = {self.random.randrange(BUSY_KEYS) for _ in range(self.random.choice([1, 10, 40]))}
        return Get(b"get", [b"%s:%d" % (name, number) for number in numbers if index != self.index], self.shared)

    def draw_get(self):
        count = self.random.choice([1, 1, 1, 5, 30])
        keys = list(dict.fromkeys(self.draw_key() for _ in range(count)))
        verb = self.random.choice([b"get", b"get", b"gets"])
        if self.random.random() < 0.05:
            return Get(b"gat" if verb == b"get" else b"gats", keys[:5], self.shared, self.draw_ttl())
        return Get(verb, keys, self.shared)

    def draw_command(self):
        draw = self.random.random()
        if draw < 0.15:
            return self.draw_foreign()
        if draw < 0.50:
            return self.draw_get()
        if draw < 0.78:
            return self.draw_store()
        if draw < 0.83:
            return Changing(Delete(self.draw_key(), self.random.random() < 0.1))
        if draw < 0.86:
            return Changing(Touch(self.draw_key(), self.draw_ttl()))
        if draw < 0.90:
            return self.draw_number()
        if draw < 0.9990:
            return self.draw_shared()
        if self.index == 0 and self.random.random() < self.options.flush_share:
            return Flush(self.own + self.numbers)
        return Plain(self.random.choice(PLAIN_COMMANDS))

    def draw_batch(self):
        """Commands to send together."""
        if self.large:
            batch, self.large = [self.large], None
            return batch + [Plain(b"version")]
        batch, size = [], 0
        for _ in range(self.random.randint(1, BATCH_MAX)):
            command = self.draw_command()
            size += len(command.text)
            if size > BATCH_SIZE_MAX:
                self.large = command  # by itself, so that neither side waits for the other to read
                break
            batch.append(command)
        return batch + [Plain(b"version")]  # the last one has an answer

    # ---- the run ----

    def exchange(self, batch):
        gets = sum(max(len(c.keys), 1) for c in batch if isinstance(c, Get) and c.ttl is None)
        self.tally.add("commands", len(batch))
        self.tally.add("gets_sent", gets)
        sent = time.monotonic()
        done = 0
        try:
            if self.stream is None:
                self.stream = Stream(self.options.port)
            self.stream.socket.sendall(b"".join(command.text for command in batch))
            for command in batch:
                command.read(self.stream, sent)
                done += 1
            self.tally.add("gets_answered", gets)
        except TimeoutError as error:
            raise Lie(f"no answer for {PATIENCE_S} s") from error
        except OSError:
            self.tally.add("broken", 1)
            self.disconnect()
            first = done  # nothing proves that what wants no reply was done, unless a reply came after it
            while first > 0 and unanswered(batch[first - 1]):
                first -= 1
                batch[first].doubt()
            for command in batch[done:]:
                command.lost(time.monotonic())

    def disconnect(self):
        if self.stream:
            self.stream.end()
        self.stream = None
        self.connection += 1
        self.large = None  # it was drawn for the connection that is no more

    def run(self, stop):
        while not stop.is_set():
            self.exchange(self.draw_batch())
            if self.random.random() < 0.0005:
                self.disconnect()
        self.disconnect()
