"""What the tests of this folder know of memcached's options: the list that its own help prints, and a good value for each.

Nothing is listed here that the installed memcached does not list itself; an option that its help names and for which
there is no good value here fails a test.
"""
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

MEMCACHED = shutil.which("memcached", path=os.environ.get("PATH", "") + ":/usr/bin:/usr/local/bin")
USER = ["-u", "nobody"] if os.geteuid() == 0 else []
HELP_LINE = re.compile(r"^-(\w)(?:,? +--([\w-]+))?(?:=<(\w+)>| <(\w+)>| +|$)")
KEY_LINE = re.compile(r"^   - (\w+):")
TAKES_VALUE_UNSAID = {"R", "N", "o"}  # the help does not show that these take one
# Keys that memcached takes without naming them in its help.
HIDDEN_KEYS = ["slab_reassign", "no_slab_reassign", "slab_automove", "no_slab_automove", "slab_automove_ratio",
               "slab_automove_window", "slab_sizes", "lru_crawler", "lru_maintainer", "inline_ascii_resp",
               "no_inline_ascii_resp", "no_chunked_items", "no_maxconns_fast", "drop_privileges", "no_drop_privileges",
               "resp_obj_mem_limit", "ext_io_depth"]


@dataclass
class Option:
    """A letter of memcached's help with its long name, if it has one."""
    letter: str
    name: str
    takes_value: bool


def help_text():
    assert MEMCACHED, "memcached is not installed: run tools/install-deps.sh --tests"
    return subprocess.run([MEMCACHED, "-h"], capture_output=True, text=True, check=True).stdout


def letters():
    """Every letter of memcached -h, in its order."""
    found = {}
    for line in help_text().split("\n"):
        match = HELP_LINE.match(line)
        if match and match[1] not in found:
            name = (match[2] or "").replace("_", "-")  # --napi_ids, as the help has it, is refused by memcached too
            found[match[1]] = Option(match[1], name, bool(match[3] or match[4]) or match[1] in TAKES_VALUE_UNSAID)
    assert len(found) > 30, found
    return list(found.values())


def keys():
    """Every key of -o that memcached -h names, and those it takes without."""
    found = [match[1] for match in map(KEY_LINE.match, help_text().split("\n")) if match]
    assert len(found) > 40, found
    return found + [key for key in HIDDEN_KEYS if key not in found]


class Places:
    """Files and folders that options name; a context."""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="options-")
        os.chmod(self.folder.name, 0o777)
        self.certificate, self.key = self.path("certificate.pem"), self.path("key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "2", "-subj", "/CN=localhost", "-keyout", self.key, "-out", self.certificate],
                       check=True, capture_output=True)
        os.chmod(self.key, 0o644)
        with open(self.path("passwords"), "w", encoding="ascii") as out:
            out.write("user:secret\n")
        return self

    def __exit__(self, *ignored):
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def tls(self):
        return ["-Z", "-o", f"ssl_chain_cert={self.certificate},ssl_key={self.key}"]

    def value(self, letter):
        """A value that both servers take for the letter."""
        return {"p": "0", "U": "0", "s": self.path("socket"), "a": "770", "l": "127.0.0.1:0", "u": "nobody", "m": "65",
                "c": "1000", "P": self.path("pid"), "f": "1.5", "n": "64", "D": "/", "t": "3", "R": "10", "b": "512",
                "B": "auto", "I": "2m", "Y": self.path("passwords"), "e": self.path("memory"),
                "o": "idle_timeout=60", "N": "1"}[letter]

    def beside(self, letter):
        """What an option needs beside it to be meaningful."""
        return {"a": ["-s", self.path("socket")], "p": ["-s", self.path("socket")],
                "Z": ["-o", f"ssl_chain_cert={self.certificate},ssl_key={self.key}"],
                "S": ["-Y", self.path("passwords")], "I": ["-m", "64"]}.get(letter, [])

    def key_value(self, key):
        """A value that both servers take for the key of -o; None: it stands alone."""
        return {"hashpower": "16", "tail_repair_time": "60", "hash_algorithm": "jenkins", "lru_crawler_sleep": "50",
                "lru_crawler_tocrawl": "100", "read_buf_mem_limit": "64", "hot_lru_pct": "25", "warm_lru_pct": "30",
                "hot_max_factor": "0.5", "warm_max_factor": "1.5", "temporary_ttl": "30", "idle_timeout": "60",
                "slab_chunk_max": "512", "watcher_logbuf_size": "128", "worker_logbuf_size": "32", "sock_cookie_id": "1",
                "ext_path": self.path("ext") + ":64m", "ext_page_size": "8", "ext_wbuf_size": "2", "ext_threads": "2",
                "ext_item_size": "1024", "ext_item_age": "60", "ext_low_ttl": "60", "ext_recache_rate": "100",
                "ext_compact_under": "4", "ext_drop_under": "4", "ext_max_frag": "0.5", "ext_max_sleep": "1000",
                "ext_io_depth": "1", "slab_automove_freeratio": "0.02", "slab_automove_ratio": "0.5",
                "slab_automove_window": "10", "slab_sizes": "100-200-400", "slab_automove": "2",
                "ssl_chain_cert": self.certificate, "ssl_key": self.key, "ssl_keyformat": "1", "ssl_verify_mode": "0",
                "ssl_ciphers": "HIGH", "ssl_ca_cert": self.certificate, "ssl_wbuf_size": "16",
                "ssl_min_version": "3"}.get(key)


def refused_by_memcached(*options):
    """Whether memcached refuses this; a port that cannot be, the last thing that it checks, keeps it from starting. That
    sizes have to fit its slab classes does not count."""
    said = subprocess.run([MEMCACHED, *USER, *options, "-p", "99999"], capture_output=True, text=True, check=False)
    assert said.returncode, (options, said)
    return "Invalid port number" not in said.stderr and "slab_chunk_max" not in said.stderr
