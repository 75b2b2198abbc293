"""Does what the documents say to do, against a real server: the README's walk-through, its links, targets and options,
and a real Prometheus with the configuration that we ship. The closing line is 'N passed, N failed'."""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

from pymemcache.client.base import Client

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
import servers  # noqa: E402

CACHE, ADMIN = "127.0.0.1:11211", "127.0.0.1:9150"
DOCUMENTS = ["README.md", "docs/operations.md", "docs/decisions.md"]


class Wrong(Exception):
    """What a document says is not so."""


def text_of(path):
    with open(path, encoding="utf-8") as document:
        return document.read()


def sh_blocks(text):
    return re.findall(r"^```sh\n(.*?)^```", text, re.S | re.M)


def quick_start_is_two_commands(_):
    section = text_of("README.md").split("## Quick start", 1)[1]
    blocks = sh_blocks(section.split("\n## ", 1)[0])
    if len(blocks) != 2 or any(block.strip().count("\n") for block in blocks):
        raise Wrong(f"the quick start has {len(blocks)} blocks, or one of several lines")
    if "build/vitrine" not in blocks[0] or blocks[1].strip() not in text_of(".ci/run"):
        raise Wrong("the first block does not run the server, or .ci/run does not run the second")


def links_lead_somewhere(_):
    for path in DOCUMENTS:
        for link in re.findall(r"\]\(([^)#]+)\)", text_of(path)):
            if "://" not in link and not os.path.exists(os.path.join(os.path.dirname(path), link)):
                raise Wrong(f"{path}: {link} is not there")


def make_targets_exist(_):
    for path in DOCUMENTS:
        for target in set(re.findall(r"`make ([a-z-]+)", text_of(path))):
            if subprocess.run(["make", "-n", target], capture_output=True, check=False).returncode:
                raise Wrong(f"{path}: there is no `make {target}`")


def options_are_in_the_help(place):
    listed = subprocess.run([place.binary, "--help"], capture_output=True, text=True, check=False).stdout
    for path in DOCUMENTS:
        for option in set(re.findall(r"`(--?[a-zA-Z][a-z-]*)", text_of(path))):
            if not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", listed):
                raise Wrong(f"{path}: `{option}` is not in --help")


def example_gets_faster_by_hits(place):
    said = subprocess.run(["/usr/bin/python3", "docs/examples/lookaside.py", *place.cache.split(":")],
                          capture_output=True, text=True, check=True).stdout
    ratios = [float(ratio) for ratio in re.findall(r"hit ratio ([\d.]+)", said)]
    if len(ratios) != 10 or not (ratios[0] < 0.2 and ratios[-1] > 0.9) or ratios != sorted(ratios):
        raise Wrong(f"the hit ratios were {ratios}")
    print(said, end="")


def curl_lines(path):
    """Every line of a document that calls curl, as it stands there."""
    return [line for block in sh_blocks(text_of(path)) for line in block.split("\n") if line.startswith("curl ")]


def curl_lines_work(place):
    """Every curl line of the documents is answered with success, and does what it is for."""
    for line in [line for path in DOCUMENTS for line in curl_lines(path)]:
        if "/flush" in line and not place.answers():
            raise Wrong("nothing is left to flush")
        command = line.replace(ADMIN, place.admin) + " -o /dev/null -w '%{http_code}'"
        code = subprocess.run(command, shell=True, capture_output=True, text=True, check=False).stdout
        if not code.startswith("2"):
            raise Wrong(f"{code or 'no answer'}: {line}")
        if "/flush" in line and place.answers():
            raise Wrong(f"items are left after: {line}")


def prometheus_reads_it(place):
    """Our configuration, with the port of this server and a scrape each second."""
    with tempfile.TemporaryDirectory() as folder:
        config = text_of("deploy/prometheus.yml").replace(ADMIN, place.admin).replace("15s", "1s")
        config = config.replace("../metrics", os.path.abspath("metrics"))
        path = os.path.join(folder, "prometheus.yml")
        with open(path, "w", encoding="utf-8") as out:
            out.write(config)
        port = servers.free_port()
        command = ["prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder}/data",
                   f"--web.listen-address=127.0.0.1:{port}"]
        with servers.Server("prometheus", command, port):
            wait_until_up(port)
            rules = ask(port, "/api/v1/rules")["data"]["groups"]
            if not rules or any(rule["health"] == "err" for group in rules for rule in group["rules"]):
                raise Wrong("the alert rules do not load")


def ask(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
        return json.load(reply)


def wait_until_up(port):
    """Until Prometheus has scraped the server, and read memcached_up from it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            found = ask(port, "/api/v1/query?query=memcached_up")["data"]["result"]
            if found and found[0]["value"][1] == "1":
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise Wrong("Prometheus did not get memcached_up from /metrics")


class Place:
    """Where this run's server is."""

    def __init__(self, binary, cache, admin):
        self.binary, self.cache, self.admin = binary, cache, admin

    def answers(self):
        """How many of the example's answers the cache still gives."""
        host, port = self.cache.split(":")
        return len(Client((host, int(port))).get_many([f"answer:{number}" for number in range(5001)]))


CHECKS = [quick_start_is_two_commands, links_lead_somewhere, make_targets_exist, options_are_in_the_help,
          example_gets_faster_by_hits, curl_lines_work, prometheus_reads_it]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vitrine", required=True)
    arguments = parser.parse_args()
    admin = f"127.0.0.1:{servers.free_port()}"
    failed = 0
    with servers.vitrine(arguments.vitrine, admin=admin) as server:
        place = Place(arguments.vitrine, f"127.0.0.1:{server.port}", admin)
        for check in CHECKS:
            try:
                check(place)
                print(f"ok   {check.__name__}")
            except (Wrong, OSError, subprocess.SubprocessError, KeyError) as error:
                failed += 1
                print(f"FAIL {check.__name__}: {error}")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
