"""Python's clients of servers that ask who is there: over TLS, by SASL, and by the text protocol's password."""
import os
import ssl

import bmemcached
import pylibmc
from eventlet.green import ssl as green
from swift.common.memcached import MemcacheRing
from bmemcached.exceptions import InvalidCredentials, MemcachedException
from pymemcache.client.base import Client
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheError

from harness import Suite, equal, raises, true

pymemcache_suite, bmemcached_suite, swift_suite = (Suite(name + ", TLS") for name in ("pymemcache", "bmemcached", "Swift"))
bmemcached_sasl_suite, pylibmc_sasl_suite = Suite("bmemcached, SASL"), Suite("pylibmc, SASL")
auth_suite = Suite("pymemcache, password file")


def context(**options):
    """A TLS context that trusts the servers' certificate."""
    made = ssl.create_default_context(cafile=os.environ["MATRIX_CERTIFICATE"])
    for name, value in options.items():
        setattr(made, name, value)
    return made


def secure(target, **options):
    return Client((target.host, target.port), timeout=5, default_noreply=False, tls_context=context(**options))


# --- TLS


@pymemcache_suite.check
def stores_and_reads_over_tls(target):
    c, key = secure(target), target.key()
    equal((c.set(key, b"v"), c.get(key), c.delete(key), c.get(key)), (True, b"v", True, None))


@pymemcache_suite.check
def either_version_of_tls(target):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        c, key = secure(target, minimum_version=version, maximum_version=version), target.key()
        equal((c.set(key, b"v"), c.get(key), c.sock.version()), (True, b"v", version.name.replace("_", ".")))


@pymemcache_suite.check
def large_values_over_tls(target):
    c, key = secure(target), target.key()
    for size in (1, 16383, 16384, 16385, 1000000):
        value = (bytes(range(256)) * (size // 256 + 1))[:size]
        true(c.set(key, value))
        equal(c.get(key), value)


@pymemcache_suite.check
def many_keys_over_tls(target):
    c, values = secure(target), {target.key(): b"%d" % i for i in range(2000)}
    equal(c.set_many(values), [])
    equal(c.get_many(list(values)), values)


@pymemcache_suite.check
def three_servers_over_tls(target):
    addresses = [(address.split(":")[0], int(address.split(":")[1])) for address in target.servers]
    c = HashClient(addresses, timeout=5, default_noreply=False, tls_context=context())
    values = {target.key(): b"%d" % i for i in range(60)}
    c.set_many(values)
    equal(c.get_many(list(values)), values)


@pymemcache_suite.check
def plain_text_is_not_served(target):
    raises((MemcacheError, OSError), Client((target.host, target.port), timeout=2, default_noreply=False).set, target.key(), b"v")
    true(secure(target).set(target.key(), b"v"))


@pymemcache_suite.check
def certificate_that_is_not_trusted_is_refused_by_the_client(target):
    c = Client((target.host, target.port), timeout=5, tls_context=ssl.create_default_context())
    raises(ssl.SSLCertVerificationError, c.get, target.key())
    true(secure(target).set(target.key(), b"v"))


@pymemcache_suite.check
def two_hundred_handshakes(target):
    key = target.key()
    true(secure(target).set(key, b"v"))
    for _ in range(200):
        c = secure(target)
        equal(c.get(key), b"v")
        c.close()


@bmemcached_suite.check
def stores_and_reads_in_binary_over_tls(target):
    c, key = bmemcached.Client([target.address], socket_timeout=2, tls_context=context()), target.key()
    equal((c.set(key, "v"), c.get(key), c.incr(target.key(), 1, default=5)), (True, "v", 5))


@bmemcached_suite.check
def many_keys_in_binary_over_tls(target):
    c = bmemcached.Client([target.address], socket_timeout=2, tls_context=context())
    values = {target.key(): "v" for _ in range(300)}
    equal(c.set_multi(values), [])
    equal(c.get_multi(list(values)), values)


@swift_suite.check
def ring_over_tls(target):
    trusting = green.create_default_context(cafile=os.environ["MATRIX_CERTIFICATE"])
    c = MemcacheRing(target.servers, connect_timeout=5, io_timeout=5, pool_timeout=5, tls_context=trusting)
    keys = [target.key() for _ in range(30)]
    for key in keys:
        c.set(key, key, raise_on_error=True)
    equal([c.get(key) for key in keys], keys)
    equal((c.incr(target.key()), c.get(target.key())), (1, None))


# --- SASL


def credentials():
    return {"username": os.environ["MATRIX_USER"], "password": os.environ["MATRIX_PASSWORD"]}


@bmemcached_sasl_suite.check
def right_password_is_served(target):
    c, key = bmemcached.Client(target.servers[:1], socket_timeout=2, **credentials()), target.key()
    equal((c.set(key, "v"), c.get(key), c.incr(target.key(), 1, default=5), c.delete(key)), (True, "v", 5, True))


@bmemcached_sasl_suite.check
def wrong_password_and_unknown_user_are_refused(target):
    for wrong in ({"password": "wrong"}, {"username": "nobody"}, {"password": ""}, {"password": "secret" * 100}):
        error = raises((InvalidCredentials, MemcachedException), bmemcached.Client(
            [target.address], socket_timeout=2, **{**credentials(), **wrong}).set, target.key(), "v")
        equal(error.code, 32)


@bmemcached_sasl_suite.check
def nobody_is_served_without_a_password(target):
    for name, arguments in (("set", ("k", "v")), ("get", ("k",)), ("incr", ("k", 1)), ("delete", ("k",)), ("flush_all", ())):
        c = bmemcached.Client([target.address], socket_timeout=2)
        equal(raises(MemcachedException, getattr(c, name), *arguments).code, 32)


@bmemcached_sasl_suite.check
def each_connection_signs_in_for_itself(target):
    c, key = bmemcached.Client([target.address], socket_timeout=2, **credentials()), target.key()
    true(c.set(key, "v"))
    c.disconnect_all()
    equal(c.get(key), "v")


def signed_in(target, **other):
    return pylibmc.Client(target.servers, binary=True, behaviors={"ketama": True, "receive_timeout": 2000000},
                          **{**credentials(), **other})


@pylibmc_sasl_suite.check
def ketama_over_three_with_a_password(target):
    c, values = signed_in(target), {target.key(): i for i in range(60)}
    equal(c.set_multi(values), [])
    equal(c.get_multi(list(values)), values)


@pylibmc_sasl_suite.check
def wrong_password_is_an_error(target):
    raises(pylibmc.Error, signed_in(target, password="wrong").set, target.key(), "v")


@pylibmc_sasl_suite.check
def no_password_is_an_error(target):
    c = pylibmc.Client(target.servers, binary=True, behaviors={"receive_timeout": 2000000})
    raises(pylibmc.Error, c.set, target.key(), "v")


# --- the text protocol's password: the first storage command's value


def text_client(target):
    return Client((target.host, target.port), timeout=5, default_noreply=False)


def sign_in(client, password=None):
    """The answer to a sign-in with our user's password or another."""
    return client.set("any", f"{os.environ['MATRIX_USER']} {password or os.environ['MATRIX_PASSWORD']}".encode())


@auth_suite.check
def right_password_opens_the_connection(target):
    c, key = text_client(target), target.key()
    equal((sign_in(c), c.set(key, b"v"), c.get(key), c.get("any")), (True, True, b"v", None))


@auth_suite.check
def wrong_password_is_a_client_error(target):
    true("authentication failure" in str(raises(MemcacheError, sign_in, text_client(target), "wrong")))


@auth_suite.check
def nothing_is_served_before_the_password(target):
    for call in (lambda c: c.get("k"), lambda c: c.stats(), lambda c: c.delete("k"), lambda c: c.flush_all()):
        true("unauthenticated" in str(raises(MemcacheError, call, text_client(target))))
