<?php
// PHP's extension memcache, in text or in binary (memcache.protocol): the classes Memcache and MemcachePool.
require __DIR__ . '/matrix.php';

function client(): MemcachePool
{
    $m = new MemcachePool();
    $m->addServer(SERVERS[0][0], SERVERS[0][1], 0, false, 1, 2, 15);
    return $m;
}

function pool(array ...$servers): MemcachePool
{
    $m = new MemcachePool();
    foreach ($servers as $server) {
        $m->addServer($server[0], (int)$server[1], 0, false, 1, 2, 60);
    }
    return $m;
}

run([
    'values of every type round trip' => function () {
        [$m, $key] = [client(), key_of()];
        foreach (['text', 'grüße 世界', "bytes\r\n\0\xff", '', 42, 1.5, true, false, [1, ['a' => null]]] as $value) {
            yes($m->set($key, $value));
            equal($m->get($key), $value);
        }
    },
    'a miss is false' => function () {
        $m = client();
        yes($m->set(key_of(), 'v'));
        equal($m->get(key_of()), false);
    },
    'flags and tokens come back' => function () {
        [$m, $key] = [client(), key_of()];
        $m->set($key, 'v', 0x10000);
        $flags = $cas = null;
        equal($m->get($key, $flags, $cas), 'v');
        yes($flags & 0x10000);
        yes($cas > 0);
    },
    'compression by threshold and by flag' => function () {
        [$m, $key] = [client(), key_of()];
        $m->setCompressThreshold(1000, 0.2);
        $value = str_repeat('abc', 100000);
        yes($m->set($key, $value) && $m->get($key) === $value);
        yes($m->set($key, $value, MEMCACHE_COMPRESSED) && $m->get($key) === $value);
    },
    'values of many sizes' => function () {
        [$m, $key] = [client(), key_of()];
        $m->setCompressThreshold(10000000);
        foreach ([1, 100, 4096, 16384, 16385, 100000, 1000000] as $size) {
            $value = substr(str_repeat('0123456789', $size), 0, $size);
            yes($m->set($key, $value));
            yes($m->get($key) === $value);
        }
    },
    'value over the limit is refused' => function () {
        [$m, $key] = [client(), key_of()];
        $m->setCompressThreshold(10000000);
        $m->set($key, 'old');
        equal($m->set($key, str_repeat('x', (1 << 20) + 1)), false);
        equal(client()->get($key), false);
        yes(client()->set($key, 'new'));
    },
    'add and replace ask first' => function () {
        $key = key_of(); // in binary the extension gives a server up that refused: a client for each
        equal([client()->replace($key, 0), client()->add($key, 1), client()->add($key, 2), client()->replace($key, 3),
            client()->get($key)], [false, true, false, true, 3]);
    },
    'append and prepend extend' => function () {
        [$m, $key] = [client(), key_of()];
        equal(client()->append($key, 'x'), false);
        $m->set($key, 'b');
        equal([$m->append($key, 'c'), $m->prepend($key, 'a'), $m->get($key)], [true, true, 'abc']);
    },
    'cas stores once' => function () {
        [$m, $key] = [client(), key_of()];
        $m->set($key, 1);
        $flags = $cas = null;
        $m->get($key, $flags, $cas);
        equal([$m->cas($key, 2, 0, 0, $cas), $m->cas($key, 3, 0, 0, $cas), $m->get($key)], [true, false, 2]);
    },
    'counters count and stop at nought' => function () {
        [$m, $key] = [client(), key_of()];
        equal($m->increment($key), false);
        $m->set($key, 10);
        equal([$m->increment($key), $m->increment($key, 9), $m->decrement($key), $m->decrement($key, 100)], [11, 20, 19, 0]);
    },
    'counters create with a first value' => function () {
        [$m, $key] = [client(), key_of()];
        $binary = PROTOCOL === 'binary'; // the extension does not make up for it in text
        equal([$m->increment($key, 1, 5), $m->increment($key, 1, 5)], $binary ? [5, 6] : [false, false]);
    },
    'counters of many keys at once' => function () {
        [$m, $keys] = [client(), keys_of(3)];
        $m->set(array_fill_keys($keys, 5));
        equal($m->increment($keys, 2), array_fill_keys($keys, 7));
    },
    'many keys at once' => function () {
        $m = client();
        $values = array_combine(keys_of(300, 'm'), range(1, 300));
        equal($m->set($values), true);
        equal(count($m->get([...array_keys($values), key_of()])), 300);
        $flags = $cas = null;
        $m->get(array_keys($values), $flags, $cas);
        equal(count(array_unique($cas)), 300);
        yes($m->delete(array_keys($values)));
        equal($m->get(array_keys($values)), []);
    },
    'expiry to the second' => function () {
        [$m, $short, $kept] = [client(), key_of(), key_of()];
        $m->set($short, 'v', 0, 1);
        $m->set($kept, 'v', 0, 100);
        usleep(2100000);
        equal([$m->get($short), $m->get($kept)], [false, 'v']);
    },
    'expiry over thirty days is absolute' => function () {
        [$m, $far, $past] = [client(), key_of(), key_of()];
        $m->set($far, 'v', 0, time() + 40 * 86400);
        $m->set($past, 'v', 0, 31 * 86400);
        equal([$m->get($far), $m->get($past)], ['v', false]);
    },
    'delete tells' => function () {
        [$m, $key] = [client(), key_of()];
        $m->set($key, 'v');
        equal([$m->delete($key), $m->delete($key)], [true, false]);
    },
    'spaces in keys are replaced, long ones cut' => function () {
        $m = client();
        yes($m->set("with space\r\n", 'v'));
        equal([$m->get("with space\r\n"), held(SERVERS[0], ['with_space__'])], ['v', 1]);
        $long = str_repeat('k', 250);
        yes($m->set($long, 'v') && $m->get($long) === 'v');
    },
    'three servers share the keys' => function () {
        [$m, $keys] = [pool(...SERVERS), keys_of(120)];
        yes($m->set(array_fill_keys($keys, 1)));
        $counts = array_map(fn($server) => held($server, $keys), SERVERS);
        equal(array_sum($counts), 120);
        yes(min($counts) > 0);
        yes(is_string($m->findServer($keys[0])));
    },
    'dead server is failed over' => function () {
        $m = pool(DEAD, SERVERS[0]);
        $failed = 0;
        $m->setFailureCallback(function () use (&$failed) { $failed++; });
        $keys = keys_of(40);
        foreach ($keys as $key) {
            yes($m->set($key, 'v'));
        }
        equal(count($m->get($keys)), 40);
        yes($failed > 0);
        equal([$m->getServerStatus(DEAD[0], (int)DEAD[1]), $m->getServerStatus(...SERVERS[0]) > 0], [0, true]);
    },
    'server parameters take a server out and back' => function () {
        [$m, $key] = [client(), key_of()];
        yes($m->setServerParams(SERVERS[0][0], SERVERS[0][1], 2, 15, false));
        equal($m->getServerStatus(...SERVERS[0]), 0);
        yes($m->setServerParams(SERVERS[0][0], SERVERS[0][1], 2, 15, true));
        equal($m->set($key, 'v'), true);
    },
    'redundancy keeps a second copy' => function () {
        ini_set('memcache.redundancy', '2');
        [$m, $keys] = [pool(...SERVERS), keys_of(20)];
        foreach ($keys as $key) {
            yes($m->set($key, 'v'));
        }
        ini_set('memcache.redundancy', '1');
        equal(array_sum(array_map(fn($server) => held($server, $keys), SERVERS)), 40);
    },
    'connect, close and the functions' => function () {
        $m = new Memcache();
        yes($m->connect(SERVERS[0][0], SERVERS[0][1], 2));
        $key = key_of();
        yes($m->set($key, 'v', 0, 0));
        yes($m->close());
        $m = memcache_pconnect(SERVERS[0][0], SERVERS[0][1]);
        yes($m);
        equal(memcache_get($m, $key), 'v');
    },
    'unix socket serves' => function () {
        $m = new Memcache();
        yes($m->addServer('unix://' . PATH, 0));
        $key = key_of();
        equal([$m->set($key, 'v'), $m->get($key)], [true, 'v']);
    },
    'stats of every group' => function () {
        $m = client();
        yes($m->set(key_of(), 'v'));
        if (PROTOCOL === 'binary') {
            return; // the extension has stats in text only
        }
        yes($m->getStats()['curr_items'] >= 1);
        yes(isset($m->getExtendedStats()[implode(':', SERVERS[0])]['version']));
        foreach (['items', 'slabs'] as $group) {
            yes($m->getStats($group));
        }
    },
    'version is a memcached one' => function () {
        yes(preg_match('/^1\.6\./', client()->getVersion()));
    },
    'sessions are kept' => function () {
        ini_set('session.save_handler', 'memcache');
        ini_set('session.save_path', 'tcp://' . implode(':', SERVERS[0]));
        ini_set('session.use_cookies', '0');
        ini_set('session.cache_limiter', '');
        ini_set('memcache.session_redundancy', '1');
        session_id('abc');
        yes(session_start());
        $_SESSION['n'] = 42;
        yes(session_write_close());
        $_SESSION = [];
        yes(session_start());
        equal($_SESSION['n'] ?? null, 42);
        yes(session_destroy());
    },
    'flush empties' => function () {
        [$m, $key] = [client(), key_of()];
        $m->set($key, 'v');
        if (PROTOCOL === 'text') { // in binary the extension forgets the delay
            yes($m->flush(100));
            equal($m->get($key), 'v');
        }
        yes($m->flush());
        equal($m->get($key), false);
        yes($m->set($key, 'new'));
        equal($m->get($key), 'new');
    },
]);
