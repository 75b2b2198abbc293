"""A conversation with one server, written down so that it can be compared with another's."""
import os
import socket
import subprocess
import tempfile
import threading
import time

import frames

WAIT_S = 30.0  # how long an expected byte may take; long, so that a slow machine fails no case
LAST = 0x600d600d  # the opaque of the noop behind which nothing is awaited


class Mismatch(Exception):
    pass


class Server:
    """One server process on a Unix socket of its own."""

    def __init__(self, path, ours, options, environment=None):
        self.folder = tempfile.TemporaryDirectory(prefix="binary-")
        self.socket = os.path.join(self.folder.name, "s")
        extra = ["--admin-listen", "off"] if ours else []
        self.process = subprocess.Popen([path, "-s", self.socket, "-u", "root", "-m", "64", "-t", "1", *extra, *options],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        env={**os.environ, **(environment or {})})
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                self.connect().close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Mismatch(f"{path} does not start: {self.stop()}") from None
                time.sleep(0.005)

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(WAIT_S)
        connection.connect(self.socket)
        return connection

    def stop(self):
        """Ends the process; what it wrote to stderr."""
        if self.process.poll() is None:
            self.process.terminate()
        said = self.process.communicate()[1].decode(errors="replace")
        self.folder.cleanup()
        return said


class Talk:
    """Sends frames and notes each reply. CAS numbers are told by the order in which they first came."""

    def __init__(self, server):
        self.server = server
        self.notes, self.known = [], {0: "0"}
        self.connection, self.buffer = server.connect(), b""

    def reconnect(self):
        self.connection.close()
        self.connection, self.buffer = self.server.connect(), b""

    def send(self, *data):
        self.connection.sendall(b"".join(data))

    def _read(self, size):
        while len(self.buffer) < size:
            try:
                got = self.connection.recv(1 << 20)
            except ConnectionResetError:
                got = b""
            if not got:
                return None
            self.buffer += got
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def next(self):
        """The next reply, or None when the connection is closed; not noted."""
        head = self._read(frames.HEAD.size)
        if head is None:
            return None
        body = self._read(frames.HEAD.unpack(head)[6])
        if body is None:
            raise Mismatch("closed within a reply")
        return frames.Reply(head, body)

    def note(self, text):
        self.notes.append(text)

    def reply(self):
        """The next reply, noted."""
        reply = self.next()
        if reply is None:
            self.note("closed")
        else:
            self.note(reply.text(self.known.setdefault(reply.cas, f"#{len(self.known)}")))
        return reply

    def ask(self, *data):
        """One reply to some frames."""
        self.send(*data)
        return self.reply()

    def all(self, *data):
        """All replies up to that of a noop sent behind, or until the connection is closed. Sent beside reading: a server
        whose replies are not taken takes no more requests."""
        sender = threading.Thread(target=self._send_whole, args=(b"".join(data) + frames.frame(frames.NOOP, opaque=LAST),))
        sender.start()
        try:
            return self.drain()
        finally:
            sender.join()

    def _send_whole(self, data):
        try:
            self.connection.sendall(data)
        except OSError:
            pass  # closed already, or nothing is taken any more: the replies tell

    def drain(self):
        replies = []
        while True:
            reply = self.next()
            if reply is not None and reply.opaque == LAST:
                self.note(f"noop {reply.status:#06x}")
                return replies
            if reply is None:
                self.note("closed")
                return replies
            replies.append(reply)
            self.note(reply.text(self.known.setdefault(reply.cas, f"#{len(self.known)}")))

    def rest(self):
        """All bytes until the connection is closed, noted."""
        try:
            while got := self.connection.recv(1 << 20):
                self.buffer += got
        except ConnectionResetError:
            pass
        self.note(f"closed behind {self.buffer!r}")
        self.buffer = b""

    def close(self):
        self.connection.close()


def counters(server):
    """The statistics as numbers, by name, over the binary protocol."""
    talk = Talk(server)
    talk.send(frames.frame(frames.STAT))
    found = {}
    while (reply := talk.next()) is not None and reply.key:
        if reply.value.isdigit():
            found[reply.key.decode()] = int(reply.value)
    talk.close()
    return found
