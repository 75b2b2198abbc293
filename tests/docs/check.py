"""Does what the documents say to do, against a real server: the README's walk-through, its links, targets and options,
and a real Prometheus with the configuration that we ship. The closing line is 'N passed, N failed'."""
import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from pymemcache.client.base import Client

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
import servers  # noqa: E402

CACHE, ADMIN = "127.0.0.1:11211", "127.0.0.1:9150"
DOCUMENTS = ["README.md", "docs/operations.md", "docs/decisions.md", "docs/differences.md", "docs/clients.md"]


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
            wait_until(lambda: list(values_of(port, "memcached_up").values()) == ["1"],
                       "Prometheus did not get memcached_up from /metrics")
            rules = ask(port, "/api/v1/rules")["data"]["groups"]
            if not rules or any(rule["health"] == "err" for group in rules for rule in group["rules"]):
                raise Wrong("the alert rules do not load")


# ---- scaling out ----

def section(path, title):
    return text_of(path).split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.S | re.M)


def with_addresses(text, cache_ports, other_ports=()):
    """The text with our ports for those of the nodes 10.0.0.11, .12 and so on."""
    for number, port in enumerate(cache_ports, 11):
        text = text.replace(f"10.0.0.{number}:11211", f"127.0.0.1:{port}")
    for number, port in enumerate(other_ports, 11):
        text = text.replace(f"10.0.0.{number}:9151", f"127.0.0.1:{port}")
    return text


@contextlib.contextmanager
def three_nodes(binary):
    with contextlib.ExitStack() as stack:
        admins = [f"127.0.0.1:{servers.free_port()}" for _ in range(3)]
        nodes = [stack.enter_context(servers.vitrine(binary, admin=admin)) for admin in admins]
        yield [node.port for node in nodes], admins


def clients_share_keys_out(place):
    """Each snippet of the README, done: every key is on one node, and every node has some."""
    snippets = blocks(section("README.md", "Scaling out"), "python")
    if len(snippets) != 2:
        raise Wrong(f"the section has {len(snippets)} snippets of Python")
    for snippet in snippets:
        with three_nodes(place.binary) as (ports, _):
            subprocess.run(["/usr/bin/python3", "-c", with_addresses(snippet, ports)], check=True)
            counts = [int(Client(("127.0.0.1", port)).stats()[b"curr_items"]) for port in ports]
            if sum(counts) != 300 or min(counts) < 50:
                raise Wrong(f"the nodes hold {counts} of 300 keys, after: {snippet}")


def nginx_of(port, admin, folder):
    """An nginx with deploy/nginx-metrics.conf for one node."""
    site = with_addresses(text_of("deploy/nginx-metrics.conf"), [], [port]).replace(ADMIN, admin).replace("10.0.0.5", "127.0.0.1")
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
    path = os.path.join(folder, "nginx.conf")
    with open(path, "w", encoding="utf-8") as out:
        out.write(f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;\n"
                  f"{'user nobody nogroup;' if os.geteuid() == 0 else ''} events {{}}\n"
                  f"http {{ access_log off; client_body_temp_path {folder}/body; {temporary}\n{site} }}\n")
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if not program:
        raise Wrong("nginx is not installed: run tools/install-deps.sh --tests")
    return servers.Server("nginx", [program, "-e", f"{folder}/error.log", "-p", folder, "-c", path], port)


def status_of(url, **request):
    try:
        return urllib.request.urlopen(urllib.request.Request(url, **request), timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code


def only_metrics_are_published(port):
    if status_of(f"http://127.0.0.1:{port}/metrics") != 200:
        raise Wrong("nginx does not give /metrics")
    others = {path: status_of(f"http://127.0.0.1:{port}{path}") for path in ("/", "/api/v1/keys", "/metrics/", "/metrics/../api/v1/stats")}
    if set(others.values()) != {404} or status_of(f"http://127.0.0.1:{port}/metrics", data=b"", method="POST") != 403:
        raise Wrong(f"nginx gives more than /metrics: {others}")


def values_of(port, query):
    """{instance: value} of an instant query."""
    found = ask(port, "/api/v1/query?" + urllib.parse.urlencode({"query": query}))["data"]["result"]
    return {series["metric"].get("instance"): series["value"][1] for series in found}


def panels(board):
    for panel in board["panels"]:
        yield from panels(panel) if "panels" in panel else ()
        yield from panel.get("targets", ())


def grafana_selects_by_instance(port, instance):
    """Every query of the dashboard is one that Prometheus takes, and tells of the chosen instance only."""
    board = json.loads(text_of("metrics/grafana/vitrine.json"))
    variable = next(one for one in board["templating"]["list"] if one["name"] == "instance")
    if not variable["multi"] or not variable["includeAll"]:
        raise Wrong("the dashboard does not let several instances be chosen")
    told = 0
    for target in panels(board):
        if 'instance=~"$instance"' not in target["expr"]:
            raise Wrong(f"not by instance: {target['expr']}")
        query = target["expr"].replace("$instance", re.escape(instance).replace("\\", "\\\\")).replace("$job", "vitrine")
        query = re.sub(r"\$__(rate_)?interval", "1m", query)
        found = values_of(port, query)
        if set(found) - {instance, None}:
            raise Wrong(f"tells of {set(found)}: {query}")
        told += bool(found)
    if not told:
        raise Wrong("no query of the dashboard tells anything")


def prometheus_follows_many_nodes(place):
    """Three nodes behind nginx each, and a Prometheus with the README's targets."""
    with contextlib.ExitStack() as stack:
        ports, admins = stack.enter_context(three_nodes(place.binary))
        fronts = [servers.free_port() for _ in ports]
        for front, admin in zip(fronts, admins):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            os.chmod(folder, 0o777)
            stack.enter_context(nginx_of(front, admin, folder))
            only_metrics_are_published(front)
        folder, port = stack.enter_context(tempfile.TemporaryDirectory()), servers.free_port()
        config = "global:\n  scrape_interval: 1s\n" + with_addresses(blocks(section("README.md", "Scaling out"), "yaml")[0], [], fronts)
        path = os.path.join(folder, "prometheus.yml")
        with open(path, "w", encoding="utf-8") as out:
            out.write(config)
        stack.enter_context(servers.Server("prometheus", [
            "prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"], port))
        wanted = {f"127.0.0.1:{front}": "1" for front in fronts}
        wait_until(lambda: values_of(port, "memcached_up") == wanted, "Prometheus did not get memcached_up of three nodes")
        grafana_selects_by_instance(port, f"127.0.0.1:{fronts[1]}")


def ask(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
        return json.load(reply)


def wait_until(condition, otherwise):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise Wrong(otherwise)


class Place:
    """Where this run's server is."""

    def __init__(self, binary, cache, admin):
        self.binary, self.cache, self.admin = binary, cache, admin

    def answers(self):
        """How many of the example's answers the cache still gives."""
        host, port = self.cache.split(":")
        return len(Client((host, int(port))).get_many([f"answer:{number}" for number in range(5001)]))


CHECKS = [quick_start_is_two_commands, links_lead_somewhere, make_targets_exist, options_are_in_the_help,
          example_gets_faster_by_hits, curl_lines_work, prometheus_reads_it, clients_share_keys_out,
          prometheus_follows_many_nodes]


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
