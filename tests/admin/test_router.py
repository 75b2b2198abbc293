"""Paths are matched as they came; every method has an answer; nothing behind a URL is a file."""

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO", "get"]


def allowed(document, path):
    methods = {method.upper() for method in document["paths"][path]}
    return methods | ({"HEAD"} if "GET" in methods else set())


def test_every_path_answers_every_method(server):
    document = server.get_json("/api/v1/openapi.json")
    for path in document["paths"]:
        target = path.replace("{group}", "items").replace("{key}", "table").replace("{id}", "0")
        target = target.replace("{file}", "none.js").replace("{page}", "keys")
        for method in METHODS:
            answer = server.request(method, target)
            if method in allowed(document, path):
                assert answer.status != 405, (method, target)
                continue
            assert answer.status == 405, (method, target, answer.status)
            assert set(answer.headers["allow"].split(", ")) == allowed(document, path), (method, target)


def test_connect_and_absolute_targets_are_refused(server):
    host = server.host()
    for line in (f"CONNECT {host}", f"GET http://{host}/livez", "OPTIONS *", "GET livez", "TRACE http://x/"):
        answer = server.raw(f"{line} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert answer is None or answer.status in (400, 405), (line, answer.status)


def test_traversal_finds_nothing(server):
    for path in ("/assets/../../etc/passwd", "/assets/%2e%2e%2f%2e%2e%2fetc/passwd", "/assets/..%5c..%5cwin.ini",
                 "/assets/%252e%252e%252f", "//", "//etc/passwd", "/assets/%00.js", "/assets/app.js%00", "/assets/",
                 "/assets/%c0%ae%c0%ae/", "/assets//", "/.", "/..", "/api/v1/../../livez", "/livez/", "/LIVEZ",
                 "/index.html/", "/assets/%2e%2e%2findex.html", "/api/v1/%6beys"):
        assert server.get(path).status == 404, path


def test_broken_escapes_are_refused_wherever_they_stand(server):
    for path in ("/%zz", "/api/v1/keys/%4", "/api/v1/keys/%", "/api/v1/keys/a%g0", "/assets/%zz", "/li%vez",
                 "/api/v1/keys?prefix=%zz", "/api/v1/keys?%zz=1", "/keys?q=%"):
        assert server.get(path).status == 400, path


def test_raw_controls_in_the_target_are_refused(server):
    for raw in (b"/livez\x00", b"/livez\x00.js", b"/api/v1/keys/a\x01b", b"/api/v1/keys/a\x7fb", b"/api/v1/keys/a\tb",
                b"/api/v1/keys/a\x0bb", b"/api/v1/keys?prefix=\x00"):
        answer = server.raw(b"GET " + raw + b" HTTP/1.1\r\nHost: " + server.host().encode() + b"\r\n\r\n")
        assert answer is None or answer.status == 400, (raw, answer.status)


def test_method_overrides_are_ignored(server):
    server.set(b"kept", b"1")
    assert server.get("/api/v1/keys/kept", X_HTTP_Method_Override="DELETE").status == 200
    assert server.get("/api/v1/keys/kept?_method=DELETE").status == 400
    assert server.get("/api/v1/flush").status == 405
    assert server.get("/api/v1/keys/kept").status == 200


def test_problem_documents_say_what_is_wrong(server):
    answer = server.get("/nowhere/at-all")
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == "about:blank" and problem["status"] == 404 and problem["detail"]
    errors = server.get("/api/v1/keys?limit=x").json()["errors"]
    assert errors == [{"field": "limit", "detail": "must be a number from 1 to 1000"}]
