#!/usr/bin/python3
"""Writes the fuzzers' dictionary (from commands.def and meta_flags.def) and their seeds (from the transcripts) into a folder."""
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SEED_SIZE_MAX = 4000

sys.path[:0] = [str(ROOT / "tests/transcripts"), str(ROOT / "tests/binary")]
import cases as binary  # noqa: E402
import play  # noqa: E402


def words():
    table = (ROOT / "daemon/protocol/commands.def").read_text()
    yield from re.findall(r"^COMMAND\((\w+),", table, re.M)
    for summary in re.findall(r'"([^"]*)"\)$', table, re.M):
        yield from re.findall(r"[a-z_]{2,}", summary)
    flags = (ROOT / "daemon/protocol/meta_flags.def").read_text()
    yield from (f" {example}" for example in re.findall(r'^META_FLAG\(.*?, "(\w+)", "', flags, re.M))
    yield from (" noreply\\x0d\\x0a", "\\x0d\\x0a", " 0 0 1\\x0d\\x0ax\\x0d\\x0a", " -1", " 18446744073709551615", " 2147483647", "HTTP/1.1")


def seeds():
    for path in sorted((ROOT / "tests/transcripts").glob("*.txt")):
        text = b""
        for _, line in play.read_script(path, True)[1]:
            if line.startswith(">> "):
                text += play.unescape(line[3:])
            elif line.startswith("> "):
                text += play.unescape(line[2:]) + b"\r\n"
        yield path.stem, text[:SEED_SIZE_MAX]
    replies = json.loads((ROOT / "tests/transcripts/replies.json").read_text())
    for number, case in enumerate(replies["cases"]):
        yield f"reply-{number}", (replies["setup"].encode() + play.case_bytes(case["input"]))[:SEED_SIZE_MAX]


class Recorder:
    """Stands for a conversation of tests/binary: keeps what is sent, and hears nothing."""
    cas = 1

    def __init__(self):
        self.sent, self.connection = [], self

    def send(self, *data):
        self.sent += data

    def ask(self, *data):
        self.send(*data)
        return self

    def all(self, *data):
        self.send(*data)
        return []

    def next(self):
        return None

    def recv(self, _):
        return b""

    def shutdown(self, _):
        pass

    reconnect = rest = reply = lambda self: None
    note = lambda self, _: None


def frames():
    """What each binary case sends on one connection, as far as it goes without answers."""
    for case in binary.CASES:
        recorder = Recorder()
        try:
            for _ in case.function(recorder) or ():
                pass
        except (AttributeError, IndexError, UnboundLocalError):
            pass  # it needs answers to go on
        data = b"".join(recorder.sent)
        for number, at in enumerate(range(0, min(len(data), 4 * SEED_SIZE_MAX), SEED_SIZE_MAX)):
            piece = data[at:at + SEED_SIZE_MAX]
            begin = max(piece.find(b"\x80"), 0)
            yield f"{case.name}-{number}", piece[begin:]


def main():
    folder = pathlib.Path(sys.argv[1])
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    (folder / "corpus-doors").mkdir(exist_ok=True)
    (folder / "corpus-binary").mkdir(exist_ok=True)
    for name, data in frames():
        (folder / "corpus-binary" / name).write_bytes(b"\x01\x02\x03\x04" + data)
    (folder / "text.dict").write_text("".join(f'"{word}"\n' for word in sorted(set(words()))))
    for name, text in seeds():
        (folder / "corpus" / name).write_bytes(b"\x01\x02\x03\x04" + text)
        (folder / "corpus-doors" / name).write_bytes(b"\x01" + b"".join(
            bytes([len(line)]) + line for line in text.splitlines(keepends=True) if len(line) < 256)[:SEED_SIZE_MAX])
    for number, text in enumerate((b"set k 0 0 9\r\nfuzz door\r\nget k\r\n", b"set k 0 0 8\r\nfuzz doo\r\nversion\r\nquit\r\n",
                                   b"get k\r\nset a 0 0 1\r\n1\r\n", b"set k 0 0 16385\r\n", b"\x80\x00")):
        (folder / "corpus-doors" / f"door-{number}").write_bytes(b"\x00" + bytes([7 * number]) + text)


if __name__ == "__main__":
    main()
