"""Other sites' pages, names that are not ours, and keys and values written to be mistaken for something else."""

import base64
import json
import os
import re

from server import percent

SCRIPTS = [b"<img/src=x/onerror=alert(1)>", b"</script>", b"'\"><svg/onload=1>", b"javascript:alert(1)", b"\xe2\x80\xae evil",
           b"\xe2\x80\xa8\xe2\x80\xa9", b"=cmd()|x!A0", b"\x1b]0;x\x07", b'"\\\r\n\t\x00', b"\xff\xfe<"]


def test_only_our_names_are_served_on_every_path(server):
    paths = ["/", "/livez", "/readyz", "/metrics", "/api/v1", "/api/v1/stats", "/api/v1/keys", "/assets/x", "/nowhere/x"]
    hosts = ["evil.example", "127.0.0.1.nip.io", "localhost:1", "[::1]", "localhost", "127.0.0.1", f"evil:{server.admin}",
             f"localhost.:{server.admin}", f"127.0.0.1:{server.admin}x", f"127.0.0.1:0{server.admin}.evil",
             f"xlocalhost:{server.admin}", f"0.0.0.0:{server.admin}", f"[::]:{server.admin}"]
    for path in paths:
        for host in hosts:
            assert server.get(path, Host=host).status == 421, (path, host)
        for host in (f"localhost:{server.admin}", f"127.0.0.1:{server.admin}", f"[::1]:{server.admin}", f"LOCALHOST:{server.admin}"):
            assert server.get(path, Host=host).status in (200, 404), (path, host)
    assert server.request("POST", "/api/v1/flush", {"confirm": "flush_all"}, Host="evil.example").status == 421


def test_forwarded_names_change_nothing(server):
    assert server.get("/livez", X_Forwarded_Host="evil.example").status == 200
    assert server.get("/livez", Host="evil.example", X_Forwarded_Host=server.host()).status == 421


def mutations():
    return [("POST", "/api/v1/flush", {"confirm": "flush_all"}), ("PUT", "/api/v1/keys/kept", {"value": "changed"}),
            ("PATCH", "/api/v1/keys/kept", {"ttl": 1}), ("DELETE", "/api/v1/keys/kept", None),
            ("POST", "/api/v1/stats/reset", {}), ("PATCH", "/api/v1/settings", {"verbose": "2"})]


def test_other_origins_change_nothing(server):
    server.set(b"kept", b"v")
    origins = ["http://evil", "null", "http://localhost", f"https://{server.host()}", f"http://{server.host()}.evil", "",
               "http://127.0.0.1:1", f"http://{server.host()}/"]
    for method, target, body in mutations():
        for origin in origins:
            assert server.request(method, target, body, Origin=origin).status == 403, (target, origin)
        for site in ("cross-site", "same-site", "none", "Same-Origin", ""):
            assert server.request(method, target, body, Sec_Fetch_Site=site).status == 403, (target, site)
        assert server.request(method, target, body, Sec_Fetch_Mode="no-cors").status == 403, target
    assert server.get_json("/api/v1/keys/kept")["expires_in_seconds"] is None
    ours = {"Origin": f"http://{server.host()}", "Sec_Fetch_Site": "same-origin"}
    assert server.request("PUT", "/api/v1/keys/kept", {"value": "x"}, **ours).status == 200


def test_values_are_for_our_own_page_only(server):
    server.set(b"secret", b"v")
    value = "/api/v1/keys/secret/value"
    assert server.get(value, Sec_Fetch_Site="cross-site").status == 403
    assert server.get(value, Origin="http://evil").status == 403
    assert server.get(value, Sec_Fetch_Site="none").status == 200
    assert server.get(value, Sec_Fetch_Site="same-origin").status == 200
    assert server.get("/api/v1/stats", Sec_Fetch_Mode="no-cors", Sec_Fetch_Site="cross-site").status == 403
    assert server.get("/", Sec_Fetch_Mode="navigate", Sec_Fetch_Site="cross-site").status == 200


def test_forms_change_nothing(server):
    server.set(b"kept", b"v")
    body = b'{"confirm":"flush_all"}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=\x00", "multipart/form-data; boundary=",
                 "application/jsonp", "text/json", "application/problem+json", None):
        answer = server.request("POST", "/api/v1/flush", body, Content_Type=kind)
        assert answer.status in (415, 400), (kind, answer.status)
    assert server.get("/api/v1/keys/kept").status == 200
    assert server.request("POST", "/api/v1/flush", body, Content_Type="Application/JSON; charset=utf-8").status == 202


def test_no_cors_header_ever(server):
    for method, target in (("OPTIONS", "/api/v1/keys"), ("OPTIONS", "/api/v1/flush"), ("GET", "/api/v1/stats"), ("GET", "/metrics")):
        answer = server.request(method, target, Origin="http://evil", Access_Control_Request_Method="POST",
                                Access_Control_Request_Headers="content-type")
        assert not [name for name in answer.headers if name.startswith("access-control-")], answer.headers


def test_data_is_not_stored_by_caches(server):
    server.set(b"kept", b"v")
    for target in ("/api/v1/stats", "/api/v1/keys", "/api/v1/keys/kept", "/api/v1/keys/kept/value", "/metrics", "/livez"):
        assert server.get(target, Range="bytes=0-1").headers["cache-control"] == "no-store", target


def test_keys_and_values_stay_data(server):
    for text in SCRIPTS:
        body = {"value_b64": base64.b64encode(text).decode()}
        assert server.request("PUT", "/api/v1/keys/" + percent(text), body).status in (200, 201)
        for target in ("/api/v1/keys", "/api/v1/keys/" + percent(text), "/api/v1/keys/" + percent(text) + "/value"):
            answer = server.get(target)
            assert b"<" not in answer.body and b"\xe2\x80\xa8" not in answer.body, (target, answer.body)
            assert answer.headers["content-type"] == "application/json"
            json.loads(answer.body.decode("utf-8"))
        raw = server.get("/api/v1/keys/" + percent(text) + "/value?as=raw")
        assert raw.body == text and raw.headers["content-type"] == "application/octet-stream"
        assert raw.headers["x-content-type-options"] == "nosniff"
    assert b"onerror" not in server.get("/metrics").body
    found = server.get_json("/api/v1/keys/" + percent(b"\xff\xfe<"))
    assert found["key"] is None and base64.b64decode(found["key_b64"]) == b"\xff\xfe<"


def test_key_bytes_never_reach_a_header_or_the_log(server):
    for path in ("/api/v1/keys/a%0d%0aSet-Cookie:%20x=1", "/api/v1/keys/a%0d%0aSet-Cookie:%20x=1/value?as=raw"):
        answer = server.get(path)
        assert answer.status == 404 and "set-cookie" not in answer.headers
    server.request("PUT", "/api/v1/keys/a%0d%0aSet-Cookie:%20x=1", {"value": "v"})
    assert "set-cookie" not in server.get("/api/v1/keys/a%0d%0aSet-Cookie:%20x=1/value?as=raw").headers
    assert "Set-Cookie" not in server.output()


def test_nothing_in_an_error_is_quoted_from_the_request(server):
    for target in ("/%3Cscript%3E/x", "/api/v1/stats?%3Cscript%3E=1", "/api/v1/stats/%3Cscript%3E"):
        assert b"script" not in server.get(target).body, target


def test_http_on_the_cache_port_runs_nothing(server):
    server.set(b"p", b"kept")
    tail = b"Host: 127.0.0.1:11211\r\nContent-Type: text/plain\r\nContent-Length: 27\r\n\r\nset p 0 0 1\r\nx\r\nflush_all\r\n"
    for line in (b"POST / HTTP/1.1\r\n", b"PUT / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n", b"POST /\r\n"):
        with server.cache() as client:
            client.sendall(line + tail)
            try:
                while client.recv(1000):
                    pass
            except ConnectionError:
                pass
    assert server.command(b"get p\r\n", b"END\r\n") == b"VALUE p 0 4\r\nkept\r\nEND\r\n"


def test_tokens_in_urls_and_cookies_mean_nothing(server):
    assert server.get("/api/v1/stats?token=x").status == 400
    assert server.get("/api/v1/stats", Cookie="token=x").status == 200


def test_no_address_of_the_process_leaks(server):
    for target in ("/api/v1/connections", "/api/v1/settings", "/api/v1/stats/settings", "/api/v1/workers"):
        assert not re.search(rb"0x[0-9a-f]{6,}", server.get(target).body), target
    assert os.path.basename(os.getcwd()).encode() not in server.get("/api/v1/nothing").body
