"""libmemcached's load generators over the three servers: memcslap, and memcaslap, which checks what it reads."""
import re
import subprocess

from harness import Suite, equal, true

suite = Suite("load generators")


def slap(target, *arguments):
    protocol = ["--binary"] if target.protocol == "binary" else []
    return subprocess.run(["memcslap", f"--servers={','.join(target.servers)}", "--concurrency=4", "--execute-number=200",
                           "--initial-load=1000", *protocol, *arguments], capture_output=True, timeout=30, check=False).returncode


def aslap(target, *arguments):
    """memcaslap's closing figures by name."""
    protocol = ["-B"] if target.protocol == "binary" else []
    done = subprocess.run(["timeout", "-k", "1", "20", "memcaslap", "-s", ",".join(target.servers), "-T", "3", "-c", "12",
                           "-x", "30000", *protocol, *arguments], capture_output=True, timeout=30, check=False, text=True)
    equal(done.returncode, 0)
    return {name: int(count) for name, count in re.findall(r"^(\w+): (\d+)", done.stdout, re.M)}


def passes(got, *arguments):
    """Fails unless all of it was done, nothing was missed and nothing came back wrong."""
    true(got["cmd_get"] + got["cmd_set"] >= 30000)
    equal([got.get(name, 0) for name in ("get_misses", "verify_misses", "verify_failed", "unexpected_unget", *arguments)],
          [0] * (4 + len(arguments)))


@suite.check
def memcslap_over_three_servers(target):
    for test in ("set", "get", "mget"):
        equal(slap(target, f"--test={test}"), 0)


@suite.check
def memcslap_non_blocking(target):
    equal(slap(target, "--test=set", "--non-blocking", "--tcp-nodelay"), 0)


@suite.check
def memcaslap_reads_what_it_wrote(target):
    passes(aslap(target, "-v", "1"))


@suite.check
def memcaslap_multi_gets(target):
    passes(aslap(target, "-v", "1", "-d", "50"))


@suite.check
def memcaslap_overwrites(target):
    passes(aslap(target, "-o", "0.5", "-X", "2048"))
