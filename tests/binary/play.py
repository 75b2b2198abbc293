#!/usr/bin/python3
"""Plays every case to Vitrine and to the installed memcached and compares the replies, byte for byte but for the CAS numbers
(which are told by the order in which they came), and the counters that moved. The last line is "N passed, N failed"."""
import argparse
import pathlib
import re
import socket
import subprocess
import sys
import tempfile

import cases
import talk
from talk import Mismatch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import servers  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COUNTERS = """cmd_get cmd_set cmd_flush cmd_touch get_hits get_misses delete_misses delete_hits incr_misses incr_hits
    decr_misses decr_hits cas_misses cas_hits cas_badval touch_hits touch_misses auth_cmds auth_errors""".split()


def moved(server, before):
    after = talk.counters(server)
    return {name: after[name] - before[name] for name in COUNTERS if after[name] != before[name]}


def played(server, case):
    """What one server said, and which counters moved."""
    before = talk.counters(server) if case.counted else None
    conversation = talk.Talk(server)
    try:
        case.function(conversation)
    finally:
        conversation.close()
    if case.counted:
        conversation.note(f"counters moved: {moved(server, before)}")
    return conversation.notes


def difference(ours, theirs):
    for number, (one, other) in enumerate(zip(ours, theirs)):
        if one != other:
            return f"note {number}\n    vitrine   {one}\n    memcached {other}"
    more = ours[len(theirs):] or theirs[len(ours):]
    return f"{len(ours)} notes of vitrine, {len(theirs)} of memcached; the first more is\n    {more[0]}"


def compare(case, ours, theirs):
    """Plays a case to both; raises Mismatch."""
    one, other = played(ours, case), played(theirs, case)
    if one != other:
        raise Mismatch(difference(one, other))


def expect(case, ours):
    """Plays a case to Vitrine alone: each yield is the replies of a connection that is then closed or not."""
    conversation = talk.Talk(ours)
    for number, (replies, (status, closed)) in enumerate(zip(case.function(conversation), case.expected, strict=True)):
        told = [reply.status for reply in replies], conversation.notes[-1] == "closed"
        if told != ([status], closed):
            raise Mismatch(f"step {number}: {told}, expected {status:#x}, closed: {closed}")
    conversation.close()


def opcodes_not_played():
    """Rows of the table that no case sends."""
    rows = re.findall(r"^OPCODE\((\w+), (0x\w+),", (ROOT / "daemon/protocol/binary.def").read_text(), re.M)
    return [name for name, code in rows if int(code, 16) not in cases.KNOWN]


def users(folder):
    """Our user in Cyrus SASL's database, for memcached, and in a file, for us: as the environment says both."""
    name, password = cases.USER.decode(), cases.PASSWORD.decode()
    database, passwords = folder / "sasldb", folder / "passwords"
    (folder / "memcached.conf").write_text(
        f"mech_list: plain\npwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {database}\n")
    subprocess.run(["saslpasswd2", "-p", "-a", "memcached", "-c", "-f", database, "-u", socket.gethostname(), name],
                   input=password, text=True, check=True, capture_output=True)
    passwords.write_text(f"{name}:{password}\n")
    return {"SASL_CONF_PATH": str(folder), "MEMCACHED_SASL_PWDB": str(passwords)}


class Servers:
    """A pair for each set of options, started when first asked for."""

    def __init__(self, vitrine, memcached, folder):
        self.paths, self.running, self.folder = (vitrine, memcached), {}, folder

    def pair(self, options):
        if options not in self.running:
            environment = users(self.folder) if cases.SASL in options else {}
            self.running[options] = [talk.Server(path, path == self.paths[0], options, environment) for path in self.paths]
        return self.running[options]

    def stop(self):
        """What any of ours wrote to stderr that a sanitizer would write."""
        said = ""
        for ours, theirs in self.running.values():
            text = ours.stop()
            said += text if "Sanitizer" in text or "runtime error" in text or ours.process.returncode else ""
            theirs.stop()
        return said


def attempt(name, function, *arguments):
    """1 when it went wrong."""
    try:
        function(*arguments)
        return 0
    except (Mismatch, OSError) as error:
        print(f"FAIL {name}: {error}", flush=True)
        return 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--server", required=True)
    parser.add_argument("--memcached", default=servers.MEMCACHED)
    parser.add_argument("names", nargs="*", help="cases to play; all when none is named")
    arguments = parser.parse_args()
    chosen = [case for case in cases.CASES if not arguments.names or case.name in arguments.names]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="binary-") as folder:
        pairs = Servers(arguments.server, arguments.memcached, pathlib.Path(folder))
        try:
            for case in chosen:
                ours, theirs = pairs.pair(case.options)
                failed += attempt(case.name, expect, case, ours) if case.expected else attempt(case.name, compare, case, ours, theirs)
        finally:
            said = pairs.stop()
    unplayed = opcodes_not_played()
    for name in unplayed:
        print(f"FAIL no case plays the opcode {name}")
    if said:
        print(f"FAIL a server ended badly:\n{said}")
    failed += len(unplayed) + bool(said)
    print(f"{len(chosen) + 2 - min(failed, len(chosen) + 2)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
