"""PostgreSQL's pgmemcache: the cache by SQL, in text or in binary.

A temporary cluster runs with a Unix socket only; as root, as the user nobody, since PostgreSQL refuses root.
"""
import atexit
import functools
import glob
import json
import os
import shutil
import subprocess
import tempfile
import time

from harness import Suite, equal, raises, true

suite = Suite("pgmemcache")


def programs():
    found = sorted(glob.glob("/usr/lib/postgresql/*/lib/pgmemcache.so"))
    if not found:
        raise SystemExit("pgmemcache is not installed: run tools/install-deps.sh --clients")
    return os.path.join(os.path.dirname(os.path.dirname(found[-1])), "bin")


def unprivileged(command):
    """The command, for root as the user nobody."""
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command] if os.geteuid() == 0 else command


class Cluster:
    """A PostgreSQL of its own; use stop."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="pg-")
        if os.geteuid() == 0:
            shutil.chown(self.folder, "nobody", "nogroup")
        data = os.path.join(self.folder, "data")
        subprocess.run(unprivileged([f"{programs()}/initdb", "-D", data, "-A", "trust", "-U", "test", "--no-sync", "-E", "UTF8",
                                     "--locale=C.UTF-8"]), check=True, stdout=subprocess.DEVNULL, cwd="/")
        self.process = subprocess.Popen(unprivileged(
            [f"{programs()}/postgres", "-D", data, "-k", self.folder, "-c", "listen_addresses=", "-c", "fsync=off",
             "-c", "shared_preload_libraries=pgmemcache"]), stderr=subprocess.DEVNULL, cwd="/")
        deadline = time.monotonic() + 20
        while not os.path.exists(os.path.join(self.folder, ".s.PGSQL.5432")) or self.psql("SELECT 1")[0]:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise SystemExit("PostgreSQL did not start")
            time.sleep(0.05)
        equal(self.psql("CREATE EXTENSION pgmemcache")[0], 0)

    def psql(self, text):
        """(exit status, standard output, standard error) of some SQL in a session of its own."""
        done = subprocess.run([f"{programs()}/psql", "-h", self.folder, "-U", "test", "-d", "postgres", "-XqAt", "-v",
                               "ON_ERROR_STOP=1", "-c", text], capture_output=True, text=True, timeout=20, check=False)
        return done.returncode, done.stdout, done.stderr

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)


@functools.lru_cache(maxsize=None)
def cluster():
    started = Cluster()
    atexit.register(started.stop)
    return started


def sql(target, *expressions, servers=None, behavior=""):
    """The values of some SQL expressions, evaluated one after the other in one session that has the servers."""
    binary = "1" if target.protocol == "binary" else "0"
    behaviors = f"BINARY_PROTOCOL:{binary},RCV_TIMEOUT:1000000,SND_TIMEOUT:1000000,POLL_TIMEOUT:1000{behavior}"
    adds = "".join(f"SELECT memcache_server_add('{address}');" for address in servers or [target.address])
    selects = "".join(f"SELECT to_json({expression});" for expression in expressions)
    status, out, problem = cluster().psql(f"SET pgmemcache.default_behavior = '{behaviors}';{adds}{selects}")
    if status:
        raise RuntimeError(problem.strip())
    lines = out.splitlines()[len(servers or [target.address]):]
    return [json.loads(line) if line else None for line in lines]


@suite.check
def set_and_get(target):
    key = target.key()
    equal(sql(target, f"memcache_set('{key}', 'value')", f"memcache_get('{key}')"), [True, "value"])


@suite.check
def absent_key_is_null(target):
    equal(sql(target, f"memcache_set('{target.key()}', 'v')", f"memcache_get('{target.key()}')"), [True, None])


@suite.check
def text_of_every_kind(target):
    key = target.key()
    equal(sql(target, f"memcache_set('{key}', E'a\\r\\nb grüße 世界')", f"memcache_get('{key}')",
              f"memcache_set('{key}', '')", f"memcache_get('{key}')"), [True, "a\r\nb grüße 世界", True, ""])


@suite.check
def bytes_as_keys_and_values(target):
    key = target.key()
    equal(sql(target, f"memcache_set('{key}', '\\x414243'::bytea)", f"memcache_get('{key}'::bytea)"), [True, "ABC"])


@suite.check
def large_values(target):
    key = target.key()
    equal(sql(target, f"memcache_set('{key}', repeat('0123456789', 100000))",
              f"memcache_get('{key}') = repeat('0123456789', 100000)"), [True, True])


@suite.check
def value_over_the_limit_is_refused(target):
    key = target.key()
    got = sql(target, f"memcache_set('{key}', 'old')", f"memcache_set('{key}', repeat('x', 1100000))")
    equal(got, [True, False])
    equal(sql(target, f"memcache_get('{key}')"), [None])


@suite.check
def add_and_replace_ask_first(target):
    key = target.key()
    equal(sql(target, f"memcache_replace('{key}', '0')", f"memcache_add('{key}', '1')", f"memcache_add('{key}', '2')",
              f"memcache_replace('{key}', '3')", f"memcache_get('{key}')"), [False, True, False, True, "3"])


@suite.check
def append_and_prepend_extend(target):
    key = target.key()
    equal(sql(target, f"memcache_append('{key}', 'x')", f"memcache_set('{key}', 'b')", f"memcache_append('{key}', 'c')",
              f"memcache_prepend('{key}', 'a')", f"memcache_get('{key}')"), [False, True, True, True, "abc"])


@suite.check
def delete_tells(target):
    key = target.key()
    equal(sql(target, f"memcache_set('{key}', 'v')", f"memcache_delete('{key}')", f"memcache_delete('{key}')",
              f"memcache_get('{key}')"), [True, True, False, None])


@suite.check
def counters_count_and_stop_at_nought(target):
    key = target.key()
    binary = target.protocol == "binary"  # libmemcached has the kind that pgmemcache uses in binary only
    equal(sql(target, f"memcache_set('{key}', '10')", f"memcache_incr('{key}')", f"memcache_incr('{key}', 9)",
              f"memcache_decr('{key}')", f"memcache_decr('{key}', 100)"), [True, 11, 20, 19, 0] if binary else [True] + [-1] * 4)


@suite.check
def counters_do_not_create(target):
    key = target.key()
    equal(sql(target, f"memcache_incr('{key}', 5)", f"memcache_decr('{key}')", f"memcache_get('{key}')"), [-1, -1, None])


@suite.check
def many_keys_at_once(target):
    keys = [target.key("m") for _ in range(50)]
    sets = [f"memcache_set('{key}', 'v')" for key in keys]
    wanted = f"'{{{','.join(keys)},absent}}'::text[]"
    got = sql(target, *sets, f"(SELECT json_object_agg(key, value) FROM memcache_get_multi({wanted}))")
    equal(got[-1], {key: "v" for key in keys})


@suite.check
def expiry_by_interval_and_by_time(target):
    short, kept, at = (target.key() for _ in range(3))
    equal(sql(target, f"memcache_set('{short}', 'v', interval '1 second')",
              f"memcache_set('{kept}', 'v', interval '100 seconds')",
              f"memcache_set('{at}', 'v', now() + interval '100 days')"), [True] * 3)
    time.sleep(2.1)
    equal(sql(target, *(f"memcache_get('{key}')" for key in (short, kept, at))), [None, "v", "v"])


@suite.check
def expiry_of_add_and_replace(target):
    key = target.key()
    equal(sql(target, f"memcache_add('{key}', 'v', interval '100 seconds')",
              f"memcache_replace('{key}', 'w', interval '1 second')"), [True, True])
    time.sleep(2.1)
    equal(sql(target, f"memcache_get('{key}')"), [None])


@suite.check
def three_servers_by_ketama(target):
    keys = [target.key("several") for _ in range(60)]
    ketama = ",DISTRIBUTION:CONSISTENT_KETAMA"
    true(all(sql(target, *(f"memcache_set('{key}', 'v')" for key in keys), servers=target.servers, behavior=ketama)))
    equal(sql(target, *(f"memcache_get('{key}')" for key in keys), servers=target.servers, behavior=ketama), ["v"] * 60)
    held = [sum(value is not None for value in sql(target, *(f"memcache_get('{key}')" for key in keys), servers=[address]))
            for address in target.servers]
    equal(sum(held), 60)
    true(all(held))


@suite.check
def trigger_invalidates_a_row(target):
    key = target.key("row")
    status, out, problem = cluster().psql(f"""
        SET pgmemcache.default_behavior = 'BINARY_PROTOCOL:{int(target.protocol == "binary")}';
        SELECT memcache_server_add('{target.address}');
        CREATE TABLE pages (id text, body text);
        CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN PERFORM memcache_delete(OLD.id); RETURN NEW; END $$;
        CREATE TRIGGER forget AFTER UPDATE ON pages FOR EACH ROW EXECUTE FUNCTION forget();
        INSERT INTO pages VALUES ('{key}', 'old');
        SELECT memcache_set('{key}', 'old');
        UPDATE pages SET body = 'new';
        SELECT memcache_get('{key}') IS NULL;
        DROP TABLE pages; DROP FUNCTION forget;""")
    equal((status, problem), (0, ""))
    equal(out.split(), ["t", "t", "t"])


@suite.check
def stats_name_the_server(target):
    text, = sql(target, "memcache_stats()")
    true("curr_items" in text and str(target.port) in text)


@suite.check
def dead_server_is_told(target):
    true("CONNECTION FAILURE" in str(raises(RuntimeError, sql, target, "memcache_get('k')", servers=[target.dead])))


@suite.check
def flush_all_empties(target):
    key = target.key()
    equal(sql(target, f"memcache_set('{key}', 'v')", "memcache_flush_all()", f"memcache_get('{key}')",
              f"memcache_set('{key}', 'new')", f"memcache_get('{key}')"), [True, True, None, True, "new"])
