"""Where the memory of a full Vitrine is: RSS, split.

What the store holds is asked of the admin server; what lies beside it is read from the kernel's list of mappings.
"""
import json
import os
import re
import sys
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "lib"))
import servers  # noqa: E402

KIB = 1 << 10
STORE_MAPPING = 1 << 30  # bytes and more: the store's address space, as are its parts with huge pages
GHOST = 64 / 27          # bytes: one of the small pool and its share of a line
ROWS = (("payload", "keys and values"), ("headers", "headers and alignment"), ("index", "index"), ("ghosts", "ghosts"),
        ("dead", "in segments, dead or not written yet"), ("free", "free segments and what `-m` has left"), ("limit", "**`-m`**"),
        ("more", "the store's pages beyond that: tables, and 2 MiB pages not full"), ("code", "code and constants of the program and its libraries"),
        ("linked", "what the loader and the libraries wrote in theirs"), ("rest", "heap, stacks, counters, history, buffers"),
        ("rss", "**RSS**"))


def mappings(pid):
    """(size, rss, anonymous, name, flags) of each, in bytes."""
    found = []
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as file:
        for line in file:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \d+ *(.*)$", line)
            if head:
                found.append([int(head[2], 16) - int(head[1], 16), 0, 0, head[3], ""])
            elif line.startswith("Rss:"):
                found[-1][1] = int(line.split()[1]) * KIB
            elif line.startswith("Anonymous:"):
                found[-1][2] = int(line.split()[1]) * KIB
            elif line.startswith("VmFlags:"):
                found[-1][4] = line.split()[1:]
    return found


def memory_of(admin):
    with urllib.request.urlopen(f"http://{admin}/api/v1/stats", timeout=10) as reply:
        stats = json.load(reply)
    return stats["memory"], stats["items"]["current"]


def split(pid, admin, payload):
    """Bytes by the names of ROWS; `payload` bytes are the key and the value of each item."""
    memory, count = memory_of(admin)
    maps = mappings(pid)
    files = [m for m in maps if m[3].startswith("/") or m[3] == "[vdso]"]
    store = sum(m[1] for m in maps if m[0] >= STORE_MAPPING or "hg" in m[4])
    rss = sum(m[1] for m in maps)
    part = {"payload": count * payload, "headers": memory["items_bytes"] - count * payload, "ghosts": round(count * GHOST),
            "dead": memory["segments_bytes"] - memory["items_bytes"], "limit": memory["limit_bytes"], "rss": rss,
            "code": sum(m[1] - m[2] for m in files), "linked": sum(m[2] for m in files)}
    part["index"] = memory["index_bytes"] - part["ghosts"]
    part["free"] = part["limit"] - memory["segments_bytes"] - memory["index_bytes"]
    part["more"] = store - part["limit"]
    part["rest"] = rss - store - part["code"] - part["linked"]
    return part


def table(start, fill, payloads):
    """Lines in Markdown. `start(admin)` gives a server to be filled by `fill(server, payload)`."""
    parts = []
    for payload in payloads:
        admin = f"127.0.0.1:{servers.free_port()}"
        with start(admin) as server:
            fill(server, payload)
            parts.append(split(server.pid, admin, payload))
    lines = ["| MiB | " + " | ".join(f"{payload} bytes of key and value" for payload in payloads) + " |",
             "|---|" + "---|" * len(payloads)]
    for key, text in ROWS:
        lines.append(f"| {text} | " + " | ".join(f"{part[key] / KIB / KIB:.2f}" for part in parts) + " |")
    return lines
