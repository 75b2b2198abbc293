"""Keys and values: exact bytes in and out, preconditions, walks that leave nothing out."""

import base64
import threading

from server import percent

ALL_BYTES = bytes(range(256))


def put(server, key, body, **headers):
    return server.request("PUT", "/api/v1/keys/" + percent(key), body, **headers)


def test_all_byte_values_make_the_round_trip(server):
    for key in (ALL_BYTES[:128], ALL_BYTES[128:], b"A", b"%41", b"a/b", b"a%2Fb", b"+", b" ", b"\0", b"\r\nX: y", b"."):
        value = b"of " + key
        assert put(server, key, {"value_b64": base64.b64encode(value).decode()}).status in (200, 201)
        found = server.get_json("/api/v1/keys/" + percent(key))
        assert base64.b64decode(found["key_b64"]) == key and found["size"] == len(value)
        raw = server.get("/api/v1/keys/" + percent(key) + "/value?as=raw")
        assert raw.body == value
        url = base64.urlsafe_b64encode(key).decode().rstrip("=")
        assert server.get_json(f"/api/v1/keys/{url}?enc=b64url") == found
    keys, _ = server.walk()
    assert {b"A", b"%41", b"a/b", b"a%2Fb", b"+", b"\0"} <= set(keys)
    assert server.get_json("/api/v1/keys/%41")["key"] == "A" and server.get_json("/api/v1/keys/+")["key"] == "+"
    server.request("POST", "/api/v1/flush", {"confirm": "flush_all"})


def test_keys_out_of_bounds_are_refused(server):
    assert server.get("/api/v1/keys/" + "k" * 250).status == 404
    for target in ("k" * 251, "k" * 1000, percent(b"k" * 251), "%20" * 500, "*?enc=b64url", "QQ?enc=b64", "QR?enc=b64url"):
        assert server.get("/api/v1/keys/" + target).status == 400, target


def test_what_http_stores_memcached_gives(server):
    assert put(server, b"shared", {"value": "héllo", "flags": 42, "ttl": 100}).status == 201
    assert server.command(b"get shared\r\n", b"END\r\n") == b"VALUE shared 42 6\r\nh\xc3\xa9llo\r\nEND\r\n"
    assert put(server, b"shared", {"value": "again"}).status == 200
    assert server.command(b"get shared\r\n", b"END\r\n") == b"VALUE shared 0 5\r\nagain\r\nEND\r\n"
    server.set(b"other", b"way", flags=5, ttl=50)
    found = server.get_json("/api/v1/keys/other")
    assert found["flags"] == 5 and 45 <= found["expires_in_seconds"] <= 50 and not found["fetched"]


def test_looking_leaves_no_trace(server):
    server.set(b"looked-at", b"v")
    before = [server.stat(name) for name in ("cmd_get", "get_hits", "get_misses", "cmd_set", "cmd_touch")]
    for _ in range(5):
        server.get("/api/v1/keys/looked-at")
        server.get("/api/v1/keys/looked-at/value")
        server.get("/api/v1/keys/not-there")
        server.walk()
    put(server, b"by-admin", {"value": "x"})
    server.request("DELETE", "/api/v1/keys/by-admin")
    assert [server.stat(n) for n in ("cmd_get", "get_hits", "get_misses", "cmd_set", "cmd_touch")] == before
    assert not server.get_json("/api/v1/keys/looked-at")["fetched"]


def test_preconditions(server):
    assert put(server, b"tagged", {"value": "1"}, If_None_Match="*").status == 201
    assert put(server, b"tagged", {"value": "2"}, If_None_Match="*").status == 412
    tag = server.get("/api/v1/keys/tagged").headers["etag"]
    assert tag == '"%s"' % server.get_json("/api/v1/keys/tagged")["cas"]
    assert server.get("/api/v1/keys/tagged", If_None_Match=tag).status == 304
    assert server.get("/api/v1/keys/tagged", If_None_Match=f'"x", W/{tag}').status == 304
    assert put(server, b"tagged", {"value": "3"}, If_Match='"1"').status == 412
    assert put(server, b"tagged", {"value": "3"}, If_Match="W/" + tag).status == 412
    assert put(server, b"tagged", {"value": "3"}, If_Match=tag).status == 200
    assert put(server, b"tagged", {"value": "4"}, If_Match=tag).status == 412
    assert put(server, b"absent", {"value": "4"}, If_Match=tag).status == 412
    assert server.request("PATCH", "/api/v1/keys/tagged", {"ttl": 5}, If_Match=tag).status == 412
    assert server.request("DELETE", "/api/v1/keys/tagged", If_Match=tag).status == 412
    tag = server.get("/api/v1/keys/tagged").headers["etag"]
    assert server.request("DELETE", "/api/v1/keys/tagged", If_Match=tag).status == 204
    assert server.request("DELETE", "/api/v1/keys/tagged").status == 404


def test_touch(server):
    server.set(b"touched", b"v")
    assert server.request("PATCH", "/api/v1/keys/touched", {"ttl": 30}).json()["expires_in_seconds"] in (29, 30)
    assert server.request("PATCH", "/api/v1/keys/touched", {"ttl": 0}).json()["expires_in_seconds"] is None
    for wrong in ({}, {"ttl": -1}, {"ttl": "5"}, {"ttl": 5, "value": "x"}, {"ttl": 1 << 31}):
        assert server.request("PATCH", "/api/v1/keys/touched", wrong).status == 422, wrong
    assert server.request("PATCH", "/api/v1/keys/not-there", {"ttl": 1}).status == 404


def test_wrong_bodies_store_nothing(server):
    for wrong in ({}, {"value": 5}, {"value": "a", "value_b64": "YQ=="}, {"value": "a", "ttl": -1}, {"value": "a", "x": 1},
                  {"value": "a", "flags": 1 << 32}, {"value_b64": "*"}, {"value_b64": "YR=="}):
        assert put(server, b"never", wrong).status == 422, wrong
    for wrong in (b"", b"[]", b"1", b"{", b'{"value":"a"}x', b'{"value":"a","value":"b"}', b'{"value":"\xff"}', b"[" * 60000):
        answer = put(server, b"never", wrong, Content_Type="application/json")
        assert answer.status in (400, 422), wrong[:20]
    assert server.get("/api/v1/keys/never").status == 404


def test_values_in_every_form(server):
    server.set(b"forms", b"a\xffb<\xe2\x80\xa8")
    form = lambda name: server.get_json(f"/api/v1/keys/forms/value?as={name}")
    assert form("json")["encoding"] == "base64" and base64.b64decode(form("json")["value"]) == b"a\xffb<\xe2\x80\xa8"
    assert form("text")["value"] == "a\ufffdb<\u2028" and form("hex")["value"] == "61ff623ce280a8"
    raw = server.get("/api/v1/keys/forms/value?as=raw")
    assert raw.headers["content-type"] == "application/octet-stream"
    assert raw.headers["content-disposition"].startswith("attachment") and "filename=" in raw.headers["content-disposition"]
    assert server.get("/api/v1/keys/not-there/value").status == 404


def test_parts_of_values(server):
    value = bytes(i * 7 % 251 for i in range(300000))
    server.set(b"large", value)
    part = server.get_json("/api/v1/keys/large/value?as=hex&offset=299990&length=100")
    assert bytes.fromhex(part["value"]) == value[299990:] and part["length"] == 10 and not part["complete"]
    assert server.get_json("/api/v1/keys/large/value")["length"] == 65536
    assert server.get_json("/api/v1/keys/large/value?length=262144")["length"] == 262144
    assert server.get("/api/v1/keys/large/value?length=262145").status == 400
    assert server.get("/api/v1/keys/large/value?as=raw").body == value
    assert server.get("/api/v1/keys/large/value?as=raw&offset=1000&length=200000").body == value[1000:201000]
    assert server.get_json("/api/v1/keys/large/value?offset=400000")["length"] == 0
    assert server.get("/api/v1/keys/large/value?as=raw&offset=18446744073709551615").body == b""
    server.set(b"text", "é".encode() * 10)
    first = server.get_json("/api/v1/keys/text/value?length=5")
    assert first["value"] == "éé" and first["length"] == 4 and first["encoding"] == "utf-8"


def test_filters(server):
    server.request("POST", "/api/v1/flush", {"confirm": "flush_all"})
    server.set(b"user:1", b"x" * 10)
    server.set(b"user:2", b"x" * 1000, ttl=60)
    server.set(b"page:1", b"x" * 10, ttl=3000)
    server.command(b"get user:1\r\n", b"END\r\n")
    find = lambda query: sorted(server.walk(query)[0])
    assert find("prefix=user:") == [b"user:1", b"user:2"]
    assert find("match=*:1") == [b"page:1", b"user:1"] and find("match=user:%3F") == [b"user:1", b"user:2"]
    assert find("min_size=500") == [b"user:2"] and find("max_ttl=100") == [b"user:2"]
    assert find("fetched=1") == [b"user:1"] and find("fetched=0&prefix=user") == [b"user:2"]
    assert find("min_idle=1000") == [] and find("prefix=a+b") == []


def test_a_walk_never_exceeds_its_limit_and_misses_nothing(server):
    server.request("POST", "/api/v1/flush", {"confirm": "flush_all"})
    expected = {b"walk:%d" % i for i in range(500)}
    server.set_many((key, b"v") for key in expected)
    for limit in (1, 7, 100, 1000):
        cursor, seen = None, []
        while True:
            page = server.get_json(f"/api/v1/keys?limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
            assert len(page["items"]) <= limit
            seen += [base64.b64decode(item["key_b64"]) for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert set(seen) == expected and len(seen) == len(expected), (limit, len(seen))


def test_a_walk_over_100000_keys_is_complete_while_the_index_grows(server):
    server.request("POST", "/api/v1/flush", {"confirm": "flush_all"})
    stable = {b"stable:%d" % i for i in range(20000)}
    server.set_many((key, b"v") for key in stable)
    done = threading.Event()
    grower = threading.Thread(target=lambda: (server.set_many((b"new:%d" % i, b"v") for i in range(80000)), done.set()))
    grower.start()
    keys, pages = server.walk("limit=1000&prefix=stable:")
    grower.join()
    assert set(keys) == stable, (len(set(keys)), pages)
    keys, pages = server.walk("limit=1000")
    assert len(set(keys)) == 100000 and pages > 1


def test_cursors_are_not_to_be_made_up(server):
    server.set_many((b"c:%d" % i, b"v") for i in range(300))
    cursor = server.get_json("/api/v1/keys?limit=5")["next_cursor"]
    assert server.get(f"/api/v1/keys?limit=5&cursor={cursor}").status == 200
    last = "A" if cursor[-1] != "A" else "B"
    for wrong in ("0", "1", "18446744073709551615", "-1", "", "%00", cursor[:-1], cursor + "A", cursor[:-2] + last * 2,
                  "A" * 32, "A" * 5000, "%FF" * 24):
        assert server.get(f"/api/v1/keys?limit=5&cursor={wrong}").status == 400, wrong
    assert server.get(f"/api/v1/keys?limit=5&prefix=c&cursor={cursor}").status == 400


def test_globs_cost_little_whatever_they_are(server):
    server.set_many((b"a" * 200 + b"%d" % i, b"v") for i in range(5000))
    page = server.get_json("/api/v1/keys?match=" + "*a" * 100 + "*b")
    assert page["items"] == [] and page["elapsed_ms"] < 1000
    assert server.get("/api/v1/keys?match=" + "*" * 257).status == 400
    assert server.get("/api/v1/keys?match=a%5C").status == 400


def test_flush_wants_its_word(server):
    server.set(b"survivor", b"v")
    for wrong in ({}, {"confirm": "yes"}, {"confirm": True}, {"confirm": "flush_all", "delay_seconds": -1}):
        assert server.request("POST", "/api/v1/flush", wrong).status == 422, wrong
    assert server.get("/api/v1/keys/survivor").status == 200
    answer = server.request("POST", "/api/v1/flush", {"confirm": "flush_all"})
    assert answer.status == 202 and answer.json()["flushed_items"] >= 1
    assert server.get("/api/v1/keys/survivor").status == 404
    assert server.command(b"get survivor\r\n", b"END\r\n") == b"END\r\n"
