<?php
// PHP's extension memcached (libmemcached), in text or in binary: the whole class Memcached.
require __DIR__ . '/matrix.php';

function client(array $options = [], ?array $servers = null): Memcached
{
    $m = new Memcached();
    $m->setOptions([Memcached::OPT_BINARY_PROTOCOL => PROTOCOL === 'binary', Memcached::OPT_TCP_NODELAY => true,
        Memcached::OPT_SEND_TIMEOUT => 1000000, Memcached::OPT_RECV_TIMEOUT => 1000000, Memcached::OPT_POLL_TIMEOUT => 1000,
        Memcached::OPT_CONNECT_TIMEOUT => 1000] + $options);
    $m->addServers($servers ?? [SERVERS[0]]);
    return $m;
}

function cas_of(Memcached $m, string $key)
{
    $m->quit();
    return $m->get($key, null, Memcached::GET_EXTENDED)['cas'] ?? null;
}

if (getenv('MATRIX_USER')) {
    $signed_in = function (string $password): Memcached {
        $m = client([], SERVERS);
        $m->setSaslAuthData(getenv('MATRIX_USER'), $password);
        return $m;
    };
    run([
        'right password is served' => function () use ($signed_in) {
            [$m, $key] = [$signed_in(getenv('MATRIX_PASSWORD')), key_of()];
            equal([$m->set($key, 'v'), $m->get($key)], [true, 'v']);
        },
        'wrong password is refused' => function () use ($signed_in) {
            $m = $signed_in('wrong');
            equal($m->set(key_of(), 'v'), false);
            yes(in_array($m->getResultCode(), [Memcached::RES_AUTH_FAILURE, Memcached::RES_AUTH_PROBLEM,
                Memcached::RES_SERVER_TEMPORARILY_DISABLED]));
        },
        'no password is refused' => fn() => equal(client()->set(key_of(), 'v'), false),
    ]);
    exit(0);
}

run([
    'values of every type round trip' => function () {
        [$m, $key] = [client(), key_of()];
        foreach (['text', 'grüße 世界', "bytes\r\n\0\xff", '', 42, -1, 1.5, true, false, [1, ['a' => null]]] as $value) {
            yes($m->set($key, $value));
            equal($m->get($key), $value);
        }
    },
    'a miss is told by the result code' => function () {
        $m = client();
        equal($m->get(key_of()), false);
        equal($m->getResultCode(), Memcached::RES_NOTFOUND);
        equal($m->getResultMessage(), 'NOT FOUND');
    },
    'read through callback fills a miss' => function () {
        [$m, $key] = [client(), key_of()];
        equal($m->get($key, function ($m, $key, &$value) { $value = 'made'; return true; }), 'made');
        equal($m->get($key), 'made');
    },
    'user flags come back' => function () {
        [$m, $key] = [client(), key_of()];
        $m->setOption(Memcached::OPT_USER_FLAGS, 77);
        $m->set($key, 'v');
        equal($m->get($key, null, Memcached::GET_EXTENDED)['flags'], 77);
    },
    'serializers and compression' => function () {
        foreach ([Memcached::SERIALIZER_PHP, Memcached::SERIALIZER_JSON_ARRAY] as $serializer) {
            [$m, $key] = [client([Memcached::OPT_SERIALIZER => $serializer, Memcached::OPT_COMPRESSION => true]), key_of()];
            $value = array_fill(0, 5000, ['name' => 'value']);
            yes($m->set($key, $value));
            equal($m->get($key), $value);
        }
    },
    'values of many sizes' => function () {
        [$m, $key] = [client([Memcached::OPT_COMPRESSION => false]), key_of()];
        foreach ([1, 100, 4096, 16384, 16385, 100000, 1000000] as $size) {
            $value = substr(str_repeat('0123456789', $size), 0, $size);
            yes($m->set($key, $value));
            yes($m->get($key) === $value);
        }
    },
    'value over the limit is refused' => function () {
        [$m, $key] = [client([Memcached::OPT_COMPRESSION => false]), key_of()];
        $m->set($key, 'old');
        equal($m->set($key, str_repeat('x', (1 << 20) + 1)), false);
        $m->quit();
        equal($m->get($key), false);
        yes($m->set($key, 'new'));
    },
    'add and replace ask first' => function () {
        [$m, $key] = [client(), key_of()];
        equal($m->replace($key, 0), false);
        equal($m->add($key, 1), true);
        equal($m->add($key, 2), false);
        equal($m->getResultCode(), PROTOCOL === 'binary' ? Memcached::RES_DATA_EXISTS : Memcached::RES_NOTSTORED);
        equal($m->replace($key, 3), true);
        equal($m->get($key), 3);
    },
    'append and prepend extend' => function () {
        [$m, $key] = [client([Memcached::OPT_COMPRESSION => false]), key_of()];
        equal($m->append($key, 'x'), false);
        equal($m->getResultCode(), Memcached::RES_NOTSTORED);
        $m->set($key, 'b');
        equal([$m->append($key, 'c'), $m->prepend($key, 'a'), $m->get($key)], [true, true, 'abc']);
    },
    'cas stores once' => function () {
        [$m, $key] = [client(), key_of()];
        $m->set($key, 1);
        $cas = cas_of($m, $key);
        yes($cas);
        equal($m->cas($cas, $key, 2), true);
        equal($m->cas($cas, $key, 3), false);
        equal($m->getResultCode(), Memcached::RES_DATA_EXISTS);
        equal($m->cas($cas, key_of(), 3), false);
        equal($m->getResultCode(), Memcached::RES_NOTFOUND);
        equal($m->get($key), 2);
    },
    'counters count and stop at nought' => function () {
        [$m, $key] = [client(), key_of()];
        equal($m->increment($key), false);
        equal($m->getResultCode(), Memcached::RES_NOTFOUND);
        $m->set($key, 10);
        equal([$m->increment($key), $m->increment($key, 9), $m->decrement($key), $m->decrement($key, 100)], [11, 20, 19, 0]);
    },
    'counters create with a first value (binary only)' => function () {
        [$m, $key] = [client(), key_of()];
        if (PROTOCOL === 'binary') {
            equal([$m->increment($key, 1, 5, 100), $m->increment($key, 1, 5), $m->decrement(key_of(), 1, 7)], [5, 6, 7]);
        } else {
            equal($m->increment($key, 1, 5), false); // libmemcached refuses it by itself
        }
    },
    'counter of text is refused' => function () {
        [$m, $key] = [client(), key_of()];
        $m->set($key, 'text');
        equal($m->increment($key), false);
        yes($m->getResultCode() !== Memcached::RES_SUCCESS);
        $m->quit();
        equal($m->get($key), 'text');
    },
    'many keys at once' => function () {
        $m = client();
        $values = array_combine(keys_of(300, 'm'), range(1, 300));
        equal($m->setMulti($values), true);
        equal($m->getMulti([...array_keys($values), key_of()]), $values);
        $order = array_reverse(array_keys($values));
        equal(array_keys($m->getMulti([...$order, 'absent'], Memcached::GET_PRESERVE_ORDER)), [...$order, 'absent']);
        $extended = $m->getMulti(array_keys($values), Memcached::GET_EXTENDED);
        equal(count(array_unique(array_column($extended, 'cas'))), 300);
        equal(array_unique(array_values($m->deleteMulti(array_keys($values)))), [true]);
        equal($m->getMulti(array_keys($values)), []);
    },
    'delayed gets are fetched one by one or all' => function () {
        [$m, $keys] = [client(), keys_of(20)];
        $m->setMulti(array_fill_keys($keys, 'v'));
        yes($m->getDelayed($keys, true));
        for ($count = 0; $item = $m->fetch(); $count++) {
            yes($item['cas'] && $item['value'] === 'v');
        }
        equal($count, 20);
        yes($m->getDelayed($keys));
        equal(count($m->fetchAll()), 20);
        $seen = [];
        yes($m->getDelayed($keys, false, function ($m, $item) use (&$seen) { $seen[] = $item['key']; }));
        equal(count($seen), 20);
    },
    'operations by server key stay on its server' => function () {
        $m = client([Memcached::OPT_LIBKETAMA_COMPATIBLE => true, Memcached::OPT_COMPRESSION => false], SERVERS);
        [$key, $other] = keys_of(2);
        yes($m->setByKey('home', $key, 'v') && $m->setMultiByKey('home', [$other => 'w']));
        equal($m->getByKey('home', $key), 'v');
        equal($m->getMultiByKey('home', [$key, $other]), [$key => 'v', $other => 'w']);
        equal([$m->addByKey('home', $key, 'x'), $m->replaceByKey('home', $key, 'y')], [false, true]);
        yes($m->appendByKey('home', $key, '2') && $m->prependByKey('home', $key, '1'));
        equal($m->getByKey('home', $key), '1y2');
        yes($m->setByKey('home', $key, 5));
        equal([$m->incrementByKey('home', $key, 2), $m->decrementByKey('home', $key)], [7, 6]);
        $cas = $m->getByKey('home', $key, null, Memcached::GET_EXTENDED)['cas'];
        yes($m->casByKey($cas, 'home', $key, 'c') && $m->touchByKey('home', $key, 100));
        yes($m->getDelayedByKey('home', [$key]) && count($m->fetchAll()) === 1);
        $at = $m->getServerByKey('home');
        equal(held([$at['host'], $at['port']], [$key, $other]), 2);
        equal([$m->deleteByKey('home', $key), $m->deleteMultiByKey('home', [$other])], [true, [$other => true]]);
    },
    'expiry to the second and touch' => function () {
        [$m, $short, $kept] = [client(), key_of(), key_of()];
        $m->set($short, 'v', BRIEF_S);
        $m->set($kept, 'v', BRIEF_S);
        equal([$m->touch($kept, 100), $m->touch(key_of(), 100)], [true, false]);
        usleep(UNTIL_GONE_US);
        equal([$m->get($short), $m->get($kept)], [false, 'v']);
    },
    'expiry over thirty days is absolute' => function () {
        [$m, $far, $past] = [client(), key_of(), key_of()];
        $m->set($far, 'v', time() + 40 * 86400);
        $m->set($past, 'v', 31 * 86400);
        equal([$m->get($far), $m->get($past)], ['v', false]);
    },
    'negative expiry stores nothing that is seen' => function () {
        [$m, $key] = [client(), key_of()];
        yes($m->set($key, 'v', -1));
        if (PROTOCOL === 'text') { // libmemcached sends -1 as 2^64-1; in binary memcached takes 2^32-1 as it is
            equal($m->get($key), false);
        }
    },
    'delete tells' => function () {
        [$m, $key] = [client(), key_of()];
        $m->set($key, 'v');
        equal([$m->delete($key), $m->delete($key), $m->getResultCode()], [true, false, Memcached::RES_NOTFOUND]);
    },
    'prefix is added and removed' => function () {
        [$m, $plain, $key] = [client([Memcached::OPT_PREFIX_KEY => 'p:']), client(), key_of()];
        $m->set($key, 'v');
        equal([$m->getMulti([$key]), $plain->get("p:$key")], [[$key => 'v'], 'v']);
    },
    'longest and bad keys' => function () {
        $m = client();
        $key = str_pad(key_of(), 250, 'k');
        equal([$m->set($key, 'v'), $m->get($key)], [true, 'v']);
        equal([$m->set(str_repeat('k', 251), 'v'), $m->set('', 'v')], [false, false]);
        equal([$m->checkKey('fine'), $m->checkKey(str_repeat('k', 251))], [true, false]);
    },
    'noreply writes arrive' => function () {
        [$m, $key] = [client([Memcached::OPT_NOREPLY => true]), key_of()];
        $m->set($key, 'v');
        for ($tries = 0; client()->get($key) !== 'v' && $tries < 100; $tries++) {
            usleep(10000);
        }
        equal(client()->get($key), 'v');
    },
    'buffered writes arrive' => function () {
        [$m, $keys] = [client([Memcached::OPT_BUFFER_WRITES => true]), keys_of(100)];
        foreach ($keys as $key) {
            $m->set($key, $key);
        }
        yes($m->flushBuffers());
        equal($m->getMulti($keys), array_combine($keys, $keys));
    },
    'non blocking client works' => function () {
        [$m, $key] = [client([Memcached::OPT_NO_BLOCK => true]), key_of()];
        equal([$m->set($key, 'v'), $m->get($key)], [true, 'v']);
    },
    'ketama shares keys out over three servers' => function () {
        [$m, $keys] = [client([Memcached::OPT_LIBKETAMA_COMPATIBLE => true], SERVERS), keys_of(120)];
        yes($m->setMulti(array_fill_keys($keys, 1)));
        $counts = array_map(fn($server) => held($server, $keys), SERVERS);
        equal(array_sum($counts), 120);
        yes(min($counts) > 0);
        equal(count($m->getServerList()), 3);
    },
    'two ketama clients agree' => function () {
        [$one, $other] = array_map(fn() => client([Memcached::OPT_LIBKETAMA_COMPATIBLE => true], SERVERS), [1, 2]);
        foreach (keys_of(50) as $key) {
            yes($one->set($key, $key));
            equal($other->get($key), $key);
        }
    },
    'dead server is thrown out' => function () {
        $m = client([Memcached::OPT_LIBKETAMA_COMPATIBLE => true, Memcached::OPT_REMOVE_FAILED_SERVERS => true,
            Memcached::OPT_SERVER_FAILURE_LIMIT => 1, Memcached::OPT_RETRY_TIMEOUT => 60], [SERVERS[0], DEAD]);
        $keys = keys_of(40);
        for ($round = 0; $round < 3; $round++) {
            array_map(fn($key) => $m->set($key, 'v'), $keys);
        }
        equal(array_map(fn($key) => $m->get($key), $keys), array_fill(0, 40, 'v'));
    },
    'unix socket serves' => function () {
        [$m, $key] = [client([], [[PATH, 0]]), key_of()];
        equal([$m->set($key, 'v'), $m->get($key)], [true, 'v']);
    },
    'persistent client keeps its servers' => function () {
        $m = new Memcached('pool');
        yes($m->isPersistent() && $m->isPristine());
        $m->addServer(...SERVERS[0]);
        $again = new Memcached('pool');
        equal([count($again->getServerList()), $again->isPristine()], [1, false]);
        $again->resetServerList();
        equal($again->getServerList(), []);
    },
    'stats of every group' => function () {
        $m = client();
        $m->set(key_of(), 'v');
        $server = implode(':', SERVERS[0]);
        yes($m->getStats()[$server]['curr_items'] >= 1);
        foreach (['settings', 'items', 'slabs'] as $group) {
            yes(count($m->getStats($group)[$server]));
        }
    },
    'version is a memcached one' => function () {
        yes(preg_match('/^1\.6\./', current(client()->getVersion())));
    },
    'all keys are listed (text only)' => function () {
        [$m, $keys] = [client(), keys_of(20)];
        $m->setMulti(array_fill_keys($keys, 'v'), 1000);
        usleep(1100000); // memcached's own list lags
        $found = $m->getAllKeys();
        if (PROTOCOL === 'text') {
            yes(is_array($found) && count($found) > 0);
        }
    },
    'sessions are kept and locked' => function () {
        ini_set('session.save_handler', 'memcached');
        ini_set('session.save_path', implode(':', SERVERS[0]));
        ini_set('session.use_cookies', '0');
        ini_set('session.cache_limiter', '');
        ini_set('memcached.sess_binary_protocol', PROTOCOL === 'binary' ? '1' : '0');
        session_id('abc');
        yes(session_start());
        $_SESSION['n'] = 42;
        yes(session_write_close());
        equal(held(SERVERS[0], ['memc.sess.key.abc']), 1);
        $_SESSION = [];
        yes(session_start());
        equal($_SESSION['n'], 42);
        yes(session_destroy());
        equal(held(SERVERS[0], ['memc.sess.key.abc']), 0);
    },
    'flush with a delay then at once' => function () {
        [$m, $key] = [client(), key_of()];
        $m->set($key, 'v');
        yes($m->flush(100));
        equal($m->get($key), 'v');
        yes($m->flush());
        equal($m->get($key), false);
        yes($m->set($key, 'new'));
        equal($m->get($key), 'new');
    },
]);
