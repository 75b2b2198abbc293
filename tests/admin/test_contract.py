"""Every route of the OpenAPI document is exercised, and every answer has the form that the document gives it."""

import base64
import gzip
import re

import schema
from server import eventually

SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}

# One request for each operation: (target, body).
REQUESTS = {
    "livez": ("/livez?verbose", None),
    "readyz": ("/readyz?verbose", None),
    "healthz": ("/healthz", None),
    "metrics": ("/metrics", None),
    "index": ("/api/v1", None),
    "index_slash": ("/api/v1/", None),
    "openapi": ("/api/v1/openapi.json", None),
    "version": ("/api/v1/version", None),
    "stats": ("/api/v1/stats?window=10s", None),
    "stats_group": ("/api/v1/stats/items", None),
    "stats_reset": ("/api/v1/stats/reset", {}),
    "history": ("/api/v1/history?metric=hit_ratio,latency_p99", None),
    "metrics_meta": ("/api/v1/metrics-meta", None),
    "keys": ("/api/v1/keys", None),
    "key": ("/api/v1/keys/there", None),
    "key_put": ("/api/v1/keys/there", {"value": "text", "ttl": 100, "flags": 7}),
    "key_patch": ("/api/v1/keys/there", {"ttl": 60}),
    "key_delete": ("/api/v1/keys/gone", None),
    "value": ("/api/v1/keys/there/value", None),
    "flush": ("/api/v1/flush", {"confirm": "flush_all"}),
    "connections": ("/api/v1/connections?sort=bytes", None),
    "connection_delete": ("/api/v1/connections/{id}", None),
    "workers": ("/api/v1/workers", None),
    "latency": ("/api/v1/latency?window=total", None),
    "settings": ("/api/v1/settings", None),
    "settings_patch": ("/api/v1/settings", {"verbose": "0"}),
    "asset": ("/assets/{file}", None),
    "root": ("/", None),
    "page": ("/keys?prefix=user", None),
}


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def an_asset(server):
    return re.search(r"/assets/[\w-]+\.js", server.get("/").body.decode()).group(0)


def concrete(server, target):
    if "{id}" in target:
        return target.replace("{id}", str(server.get_json("/api/v1/connections")["items"][0]["id"]))
    return an_asset(server) if "{file}" in target else target


def check_answer(answer, operation, document):
    expected = operation["responses"]
    (status,) = [int(code) for code in expected if code.isdigit()]
    assert answer.status in ({200, 201} if status == 200 else {status}), (answer.status, answer.body)
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value, (name, answer.headers)
    for media, content in expected[str(status)].get("content", {}).items():
        if media == "application/json":
            assert answer.headers["content-type"] == media
            schema.check(answer.json(), content["schema"], document)


def test_every_route_answers_in_its_documented_form(server):
    document = server.get_json("/api/v1/openapi.json")
    assert {operation["operationId"] for _, _, operation in operations(document)} == set(REQUESTS)
    with server.cache() as client:
        client.sendall(b"version\r\n")
        client.recv(100)
        for _, method, operation in operations(document):
            server.set(b"there", b"value")
            server.set(b"gone", b"value")
            target, body = REQUESTS[operation["operationId"]]
            answer = server.request(method, concrete(server, target), body)
            try:
                check_answer(answer, operation, document)
            except AssertionError as error:
                raise AssertionError(f"{method} {target}: {error}") from error


def test_head_is_get_without_a_body(server):
    server.set(b"there", b"value")
    document = server.get_json("/api/v1/openapi.json")
    for _, method, operation in operations(document):
        if method != "GET":
            continue
        target = concrete(server, REQUESTS[operation["operationId"]][0])
        head = server.request("HEAD", target)
        assert (head.status, head.body) == (200, b""), target
        assert head.headers.get("content-type") == server.get(target).headers.get("content-type")


def test_csp_lets_nothing_in(server):
    policy = server.get("/").headers["content-security-policy"]
    for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'",
                 "form-action 'none'", "require-trusted-types-for 'script'"):
        assert part in policy
    assert "unsafe" not in policy


def test_openapi_has_all_it_refers_to(server):
    document = server.get_json("/api/v1/openapi.json")
    assert document["openapi"].startswith("3.1")
    for path, _, operation in operations(document):
        named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path)), path
        assert operation["summary"] and operation["x-role"]
    for name in re.findall(r'"#/components/schemas/(\w+)"', str(document).replace("'", '"')):
        assert name in document["components"]["schemas"]


def test_stats_tell_what_happened(server):
    server.command(b"flush_all\r\n")
    before = server.get_json("/api/v1/stats?window=total")
    server.set(b"counted", b"x")
    assert server.command(b"get counted\r\n", b"END\r\n") == b"VALUE counted 0 1\r\nx\r\nEND\r\n"
    assert server.command(b"get absent-1\r\n", b"END\r\n") == b"END\r\n"
    after = server.get_json("/api/v1/stats?window=total")
    assert after["hits"] - before["hits"] == 1
    assert after["misses"] - before["misses"] == 1
    assert after["items"]["stored"] - before["items"]["stored"] == 1
    assert after["memory"]["limit_bytes"] == 64 << 20


def test_unknown_windows_and_parameters_are_refused(server):
    for target in ("/api/v1/stats?window=2m", "/api/v1/stats?widow=1m", "/api/v1/stats?window=1m&window=1m",
                   "/api/v1/keys?limit=0", "/api/v1/keys?limit=1001", "/api/v1/keys?limit=-1", "/api/v1/keys?limit=",
                   "/api/v1/keys?fetched=2", "/api/v1/history?metric=nothing", "/api/v1/history?metric=gets&step=7",
                   "/api/v1/history?metric=gets&from=20&to=10", "/api/v1/history?metric=" + "gets," * 17,
                   "/api/v1/connections?sort=name", "/api/v1/connections?sort=idle&cursor=AAAA", "/livez?x"):
        answer = server.get(target)
        assert answer.status == 400, (target, answer.status)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == 400 and answer.json()["title"] == "Bad Request"


def test_history_columns_have_one_line_of_times(server):
    answer = server.get_json("/api/v1/history?metric=gets,memory_limit,hit_ratio")
    assert set(answer["series"]) == {"gets", "memory_limit", "hit_ratio"}
    assert all(len(column) == len(answer["times"]) for column in answer["series"].values())
    assert answer["times"] == sorted(answer["times"])
    names = [series["name"] for series in server.get_json("/api/v1/history")["series"]]
    assert {"hit_ratio", "gets", "latency_p99", "rss", "cpu"} <= set(names)


def test_long_answers_are_compressed_when_asked(server):
    for target in ("/metrics", "/api/v1/metrics-meta"):
        plain, packed = server.get(target), server.get(target, Accept_Encoding="gzip")
        assert "content-encoding" not in plain.headers
        assert packed.headers["content-encoding"] == "gzip" and "Accept-Encoding" in packed.headers["vary"]
        assert len(gzip.decompress(packed.body)) > 1024 > 0 and len(packed.body) < len(plain.body)
    for refused in ("gzip;q=0", "identity", "br", "gzip;q=0.000, *;q=0", ", ".join(f"x{i}" for i in range(1000))):
        assert "content-encoding" not in server.get("/metrics", Accept_Encoding=refused).headers, refused
    for odd in ("gzip;q=nan", "gzip;q=1e300", "gzip;q=-1", "gzip;q=", "gzip;q=1.5", "gzip;q=0.0.1", "gzip;q=99999"):
        assert "content-encoding" not in server.get("/metrics", Accept_Encoding=odd).headers, odd
    for taken in ("*", "br, GZIP;q=0.5", "gzip ; q=1"):
        assert "content-encoding" in server.get("/metrics", Accept_Encoding=taken).headers, taken


def test_metrics_are_negotiated(server):
    plain = server.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b"memcached_up 1" in plain.body and b"# EOF" not in plain.body
    open_metrics = server.get("/metrics", Accept="application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3")
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert open_metrics.body.endswith(b"# EOF\n")
    back = server.get("/metrics", Accept="application/openmetrics-text;q=0.1,text/plain;q=0.9")
    assert back.headers["content-type"].startswith("text/plain")


def test_the_dashboard_is_served(server):
    page = server.get("/")
    assert page.headers["content-type"].startswith("text/html") and page.headers["cache-control"] == "no-cache"
    assert server.get("/", If_None_Match=page.headers["etag"]).status == 304
    for path, status in (("/keys", 200), ("/actions?x=%7B", 200), ("/some-page", 404), ("/metric", 404)):
        deep = server.get(path)
        assert (deep.status, deep.body) == (status, page.body), path
    asset = server.get(an_asset(server))
    assert "immutable" in asset.headers["cache-control"]
    packed = server.get(an_asset(server), Accept_Encoding="gzip")
    if "content-encoding" in packed.headers:
        assert gzip.decompress(packed.body) == asset.body


def test_settings_change_all_or_none(server):
    before = server.get("/api/v1/settings")
    tag = before.headers["etag"]
    values = {setting["name"]: setting["value"] for setting in before.json()["settings"]}
    answer = server.request("PATCH", "/api/v1/settings", {"memory-limit": "65", "port": "1", "nonsense": "x"})
    assert answer.status == 422
    assert {error["field"] for error in answer.json()["errors"]} == {"port", "nonsense"}
    assert server.get("/api/v1/settings").headers["etag"] == tag
    changed = server.request("PATCH", "/api/v1/settings", {"memory-limit": "65"}, If_Match=tag)
    assert changed.status == 200, changed.body
    assert server.stat("limit_maxbytes") == 65 << 20
    assert server.request("PATCH", "/api/v1/settings", {"memory-limit": "66"}, If_Match=tag).status == 412
    back = server.request("PATCH", "/api/v1/settings", {"memory-limit": values["memory-limit"]})
    assert back.headers["etag"] == tag
    for wrong in ({}, {"memory-limit": 65}, {"memory-limit": "0"}, {"memory-limit": "64\0"}):
        assert server.request("PATCH", "/api/v1/settings", wrong).status == 422, wrong


def test_connections_are_listed_and_closed(server):
    with server.cache() as client:
        client.sendall(b"version\r\n")
        client.recv(100)
        me = "tcp:%s:%d" % client.getsockname()

        def mine():
            return [item for item in server.get_json("/api/v1/connections?sort=age")["items"] if item["peer"] == me]

        # A worker publishes its counts after the reply has gone out.
        eventually(lambda: [item["requests"] for item in mine()] == [1], "the request is counted")
        found, = mine()
        assert found["read_bytes"] == 9
        assert server.request("DELETE", f"/api/v1/connections/{found['id']}").status == 204
        assert client.recv(10) == b""
    assert server.request("DELETE", "/api/v1/connections/99999999").status == 404
    assert server.request("DELETE", "/api/v1/connections/1e3").status == 400


def test_connections_are_paged(server):
    clients = [server.cache() for _ in range(25)]
    for client in clients:
        client.sendall(b"version\r\n")
        client.recv(100)
    seen, cursor = [], None
    while True:
        page = server.get_json("/api/v1/connections?limit=10" + (f"&cursor={cursor}" if cursor else ""))
        assert len(page["items"]) <= 10
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) >= 25
    by_requests = server.get_json("/api/v1/connections?limit=5&sort=requests")["items"]
    assert [c["requests"] for c in by_requests] == sorted((c["requests"] for c in by_requests), reverse=True)
    for client in clients:
        client.close()


def test_reset_touches_stats_but_not_prometheus(server):
    server.set(b"reset", base64.b64encode(b"x"))
    def counted():
        return int(re.search(rb"memcached_items_total (\d+)", server.get("/metrics").body).group(1))
    before = counted()
    assert before > 0
    assert server.request("POST", "/api/v1/stats/reset", {}).status == 204
    assert server.stat("total_items") < before
    assert counted() >= before
