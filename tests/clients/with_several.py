"""Several servers as Python's clients use them: ketama, failover, IPv6 and Unix sockets.

The servers of the matrix are told apart by what a client of one of them sees.
"""
import threading

import memcache
import pylibmc
from pymemcache.client.base import Client
from pymemcache.client.hash import HashClient
from pymemcache.client.retrying import RetryingClient
from pymemcache.exceptions import MemcacheUnexpectedCloseError

from harness import Suite, equal, raises, true

pymemcache_suite = Suite("pymemcache, several servers")
memcache_suite = Suite("python-memcached, several servers")
pylibmc_suite = Suite("pylibmc, several servers")


def pair(address):
    host, port = address.rsplit(":", 1)
    return host, int(port)


def holders(target, keys):
    """{key: addresses of the servers that hold it}."""
    found = {key: [] for key in keys}
    for address in target.servers:
        for key in Client(pair(address), timeout=5).get_many(keys):
            found[key].append(address)
    return found


def each_on_one_server(target, keys):
    """Fails unless each key lies on one server and all servers have some."""
    places = holders(target, keys).values()
    true(all(len(place) == 1 for place in places))
    equal({place[0] for place in places}, set(target.servers))


# --- pymemcache


@pymemcache_suite.check
def hash_client_shares_keys_out_over_three(target):
    c = HashClient([pair(address) for address in target.servers], timeout=5, default_noreply=False)
    values = {target.key("several"): b"%d" % i for i in range(120)}
    equal(c.set_many(values), [])
    equal(c.get_many(list(values)), values)
    equal({key: token_and_value[0] for key, token_and_value in c.gets_many(list(values)).items()}, values)
    each_on_one_server(target, list(values))


@pymemcache_suite.check
def hash_client_does_every_operation(target):
    c, key = HashClient([pair(address) for address in target.servers], timeout=5, default_noreply=False), target.key()
    equal(c.replace(key, b"0"), False)
    equal(c.add(key, b"5"), True)
    equal((c.incr(key, 3), c.decr(key, 1)), (8, 7))
    equal((c.append(key, b"x"), c.prepend(key, b"y"), c.get(key)), (True, True, b"y7x"))
    equal(c.cas(key, b"new", c.gets(key)[1]), True)
    equal((c.touch(key, 100), c.get(key), c.delete(key), c.get(key)), (True, b"new", True, None))
    c.set(key, b"v")
    c.flush_all()
    equal(c.get(key), None)
    c.quit()


@pymemcache_suite.check
def hash_client_goes_on_without_a_dead_server(target):
    c = HashClient([pair(address) for address in (target.servers[0], target.dead)], timeout=5, retry_attempts=0,
                   retry_timeout=0, dead_timeout=60, ignore_exc=True, default_noreply=False)
    keys = [target.key() for _ in range(40)]
    for key in keys * 2:  # a key of the dead server is lost once, then has moved
        c.set(key, b"v")
    equal({key: c.get(key) for key in keys}, {key: b"v" for key in keys})


@pymemcache_suite.check
def retrying_client_takes_a_new_connection(target):
    base = Client(pair(target.address), timeout=5, default_noreply=False)
    c, key = RetryingClient(base, attempts=3, retry_for=[MemcacheUnexpectedCloseError, OSError]), target.key()
    true(c.set(key, b"v"))
    base.sock.shutdown(2)
    equal(c.get(key), b"v")


@pymemcache_suite.check
def ipv6_address_reaches_the_same_server(target):
    key = target.key()
    Client(pair(target.address), timeout=5, default_noreply=False).set(key, b"v")
    equal(Client(target.servers6[0], timeout=5).get(key), b"v")


@pymemcache_suite.check
def unix_socket_serves(target):
    c, key = Client("unix:" + target.path, timeout=5, default_noreply=False), target.key()
    true(c.set(key, b"v"))
    equal(c.get(key), b"v")


# --- python-memcached


@memcache_suite.check
def shares_keys_out_over_three(target):
    c = memcache.Client(target.servers, socket_timeout=5)
    values = {target.key("several"): i for i in range(120)}
    equal(c.set_multi(values), [])
    equal(c.get_multi(list(values)), values)
    each_on_one_server(target, list(values))
    equal(len(c.get_stats()), 3)
    equal(c.delete_multi(list(values)), 1)


@memcache_suite.check
def weights_and_chosen_hashes(target):
    c = memcache.Client([(target.servers[0], 1), (target.servers[1], 3)], socket_timeout=5)
    keys = [(hash_value, target.key()) for hash_value in range(8)]
    for key in keys:
        true(c.set(key, "v"))
        equal(c.get(key), "v")
    places = holders(target, [key for _, key in keys])
    equal(sorted(place[0] for place in places.values()).count(target.servers[1]), 6)


@memcache_suite.check
def dead_server_is_left_out(target):
    c = memcache.Client([target.servers[0], target.dead], socket_timeout=1, dead_retry=60)
    keys = [target.key() for _ in range(40)]
    for key in keys:
        true(c.set(key, "v"))
    equal(c.get_multi(keys), {key: "v" for key in keys})


@memcache_suite.check
def ipv6_and_unix_addresses(target):
    for address in ("inet6:" + target.servers6[0], "unix:" + target.path):
        c, key = memcache.Client([address], socket_timeout=5), target.key()
        true(c.set(key, "v"))
        equal(c.get(key), "v")


@memcache_suite.check
def reset_cas_and_disconnect_all(target):
    c, key = memcache.Client([target.address], socket_timeout=5, cache_cas=True), target.key()
    c.set(key, "v")
    equal(c.gets(key), "v")
    c.reset_cas()
    equal(c.cas(key, "w"), True)  # without a remembered token it is a plain set
    c.disconnect_all()
    equal(c.get(key), "w")


# --- pylibmc, in both protocols


def ring(target, addresses, **behaviors):
    return pylibmc.Client(addresses, binary=target.protocol == "binary",
                          behaviors={"tcp_nodelay": True, "ketama": True, "connect_timeout": 1000,
                                     "receive_timeout": 2000000, "send_timeout": 2000000, **behaviors})


@pylibmc_suite.check
def ketama_shares_keys_out_over_three(target):
    c = ring(target, target.servers)
    values = {target.key("several"): i for i in range(120)}
    equal(c.set_multi(values), [])
    equal(c.get_multi(list(values)), values)
    each_on_one_server(target, list(values))
    equal(len(c.get_stats()), 3)
    true(c.delete_multi(list(values)))


@pylibmc_suite.check
def weighted_ketama_agrees_between_clients(target):
    one, other = (ring(target, target.servers, ketama_weighted=True, hash="md5") for _ in range(2))
    for key in [target.key() for _ in range(50)]:
        one.set(key, key)
        equal(other.get(key), key)


@pylibmc_suite.check
def ketama_keeps_most_keys_when_one_server_goes(target):
    three, two = ring(target, target.servers), ring(target, target.servers[:2])
    keys = [target.key("several") for _ in range(150)]
    three.set_multi({key: "v" for key in keys})
    before = holders(target, keys)
    kept = [key for key in keys if before[key][0] != target.servers[2]]
    equal(sorted(two.get_multi(keys)), sorted(kept))


@pylibmc_suite.check
def dead_server_is_thrown_out(target):
    c = ring(target, [target.servers[0], target.dead], auto_eject=True, failure_limit=1, retry_timeout=60)
    keys = [target.key() for _ in range(40)]
    for _ in range(3):
        for key in keys:
            try:
                c.set(key, "v")
            except pylibmc.Error:
                pass  # until the server is out
    equal({key: c.get(key) for key in keys}, {key: "v" for key in keys})


@pylibmc_suite.check
def unix_socket_serves_libmemcached(target):
    c, key = ring(target, [target.path]), target.key()
    true(c.set(key, "v"))
    equal(c.get(key), "v")


@pylibmc_suite.check
def thread_mapped_pool_serves_threads(target):
    pool = pylibmc.ThreadMappedPool(ring(target, target.servers))
    problems = []

    def work(word):
        try:
            with pool.reserve() as c:
                for key in [target.key(word) for _ in range(100)]:
                    c.set(key, key)
                    equal(c.get(key), key)
        except Exception as error:  # pylint: disable=broad-except
            problems.append(error)
        finally:
            pool.relinquish()

    threads = [threading.Thread(target=work, args=(word,)) for word in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(problems, [])


@pylibmc_suite.check
def hash_and_touch_and_errors(target):
    c, key = ring(target, target.servers), target.key()
    true(isinstance(c.hash(key), int))
    equal(c.touch(key, 10), False)
    c.set(key, "text")
    raises(pylibmc.Error, c.incr, key)
    equal(c.get(key), "text")
