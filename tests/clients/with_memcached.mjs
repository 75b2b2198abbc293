// Node's memcached (text), through its whole interface.
import Memcached from "memcached";
import { BRIEF_S, DEAD, SERVERS, UNTIL_GONE_MS, equal, held, key, keys, now, rejects, run, sleep, yes } from "./matrix.mjs";

const OPTIONS = { timeout: 3000, retries: 0, failures: 5, retry: 100, reconnect: 100, poolSize: 5 };
const METHODS = ["touch", "get", "gets", "getMulti", "set", "replace", "add", "cas", "append", "prepend", "incr", "decr", "del",
  "version", "flush", "stats", "settings", "slabs", "items", "cachedump"];

// A client whose methods return promises; `plain` is the client itself.
function client(servers = SERVERS[0], options = {}) {
  const plain = new Memcached(servers, { ...OPTIONS, ...options });
  const call = (method) => (...values) =>
    new Promise((done, fail) => plain[method](...values, (error, data) => (error ? fail(error) : done(data))));
  return { plain, ...Object.fromEntries(METHODS.map((method) => [method, call(method)])) };
}

const c = client();
const refused = (promise) => promise.then((data) => data === false, () => true);

run({
  "values of every type round trip": async () => {
    const k = key();
    for (const value of ["text", "grüße 世界", 42, 1.5, { a: [1, null] }, true, Buffer.from([13, 10, 0, 255])]) {
      yes(await c.set(k, value, 0));
      equal(await c.get(k), value);
    }
  },
  "a miss is undefined": async () => equal([await c.get(key()), await c.gets(key())], [undefined, undefined]),
  "values of many sizes": async () => {
    const k = key();
    for (const size of [1, 100, 4096, 16384, 16385, 100000, 1000000]) {
      yes(await c.set(k, "x".repeat(size), 0));
      equal((await c.get(k)).length, size);
    }
  },
  "value over the client's limit is not sent": async () => rejects(c.set(key(), "x".repeat((1 << 20) + 1), 0)),
  "value over the server's limit is refused": async () => {
    const [big, k] = [client(SERVERS[0], { maxValue: 10 << 20 }), key()];
    await c.set(k, "old", 0);
    yes(await refused(big.set(k, "x".repeat((1 << 20) + 1), 0)));
    equal(await c.get(k), undefined);
    yes(await c.set(k, "new", 0));
  },
  "add and replace ask first": async () => {
    const k = key();
    yes(await refused(c.replace(k, "0", 0)));
    yes(await c.add(k, "1", 0));
    yes(await refused(c.add(k, "2", 0)));
    yes(await c.replace(k, "3", 0));
    equal(await c.get(k), "3");
  },
  "append and prepend extend": async () => {
    const k = key();
    yes(await refused(c.append(k, "x")));
    await c.set(k, "b", 0);
    yes((await c.append(k, "c")) && (await c.prepend(k, "a")));
    equal(await c.get(k), "abc");
  },
  "cas stores once": async () => {
    const k = key();
    await c.set(k, "1", 0);
    const token = (await c.gets(k)).cas;
    yes(await c.cas(k, "2", token, 0));
    yes(await refused(c.cas(k, "3", token, 0)));
    equal(await c.get(k), "2");
  },
  "counters count and stop at nought": async () => {
    const k = key();
    equal([await c.incr(k, 1), await c.decr(k, 1)], [false, false]);
    await c.set(k, 10, 0);
    equal([await c.incr(k, 5), await c.decr(k, 4), await c.decr(k, 100)], [15, 11, 0]);
  },
  "counter of text is refused": async () => {
    const k = key();
    await c.set(k, "text", 0);
    await rejects(c.incr(k, 1));
    equal(await c.get(k), "text");
  },
  "many keys at once": async () => {
    const list = keys(300, "m");
    await Promise.all(list.map((k) => c.set(k, k, 0)));
    equal(await c.getMulti([...list, key()]), Object.fromEntries(list.map((k) => [k, k])));
  },
  "expiry, touch and absolute times": async () => {
    const [short, kept, far] = keys(3);
    await Promise.all([c.set(short, "v", BRIEF_S), c.set(kept, "v", BRIEF_S), c.set(far, "v", now() + 40 * 86400)]);
    yes(await c.touch(kept, 100));
    yes(await refused(c.touch(key(), 100)));
    await sleep(UNTIL_GONE_MS);
    equal([await c.get(short), await c.get(kept), await c.get(far)], [undefined, "v", "v"]);
  },
  "expiry over the client's thirty days": async () => {
    const k = key();
    await c.set(k, "v", 2592000);
    equal(await c.get(k), "v");
  },
  "delete tells": async () => {
    const k = key();
    await c.set(k, "v", 0);
    equal([await c.del(k), await c.del(k)], [true, false]);
  },
  "longest and bad keys": async () => {
    const long = "k".repeat(250);
    yes(await c.set(long, "v", 0));
    equal(await c.get(long), "v");
    for (const bad of ["with space", "line\n"]) {
      await rejects(c.get(bad));
    }
    await rejects(client(SERVERS[0], { keyCompression: false }).get("k".repeat(251)));
    yes(await c.set("k".repeat(1000), "v", 0)); // the client hashes it
    equal(await c.get("k".repeat(1000)), "v");
  },
  "namespace keeps keys apart": async () => {
    const [inside, k] = [client(SERVERS[0], { namespace: "ns:" }), key()];
    await inside.set(k, "v", 0);
    equal([await c.get(k), await c.get(`ns:${k}`), await inside.get(k)], [undefined, "v", "v"]);
  },
  "three servers share the keys": async () => {
    const [ring, list] = [client(SERVERS), keys(120, "several")];
    for (const k of list) {
      yes(await ring.set(k, k, 0));
    }
    equal(Object.keys(await ring.getMulti(list)).length, 120);
    const counts = await Promise.all(SERVERS.map((server) => held(server, list)));
    equal(counts[0] + counts[1] + counts[2], 120);
    yes(Math.min(...counts) > 0);
  },
  "weighted servers share the keys": async () => {
    const ring = client({ [SERVERS[0]]: 1, [SERVERS[1]]: 3 });
    const k = key();
    yes(await ring.set(k, "v", 0));
    equal(await ring.get(k), "v");
  },
  "dead server is removed": async () => {
    const ring = client([SERVERS[0], DEAD], { remove: true, failures: 0 });
    const list = keys(40);
    for (const k of list) {
      await ring.set(k, "v", 0).catch(() => {});
    }
    await sleep(300);
    for (const k of list) {
      yes(await ring.set(k, "v", 0));
    }
    equal(Object.keys(await ring.getMulti(list)).length, 40);
  },
  "stats, settings, slabs and items of every server": async () => {
    const ring = client(SERVERS);
    await c.set(key(), "v", 0);
    const stats = await ring.stats();
    equal(stats.length, 3);
    yes(stats.every((one) => one.curr_items !== undefined));
    equal((await ring.settings()).length, 3);
    yes((await c.slabs())[0] && (await c.items())[0]);
  },
  "cachedump is answered": async () => {
    const k = key();
    await c.set(k, "v", 1000);
    const items = (await c.items())[0];
    const slab = Object.keys(items).find((name) => /^\d+$/.test(name));
    yes(Array.isArray([].concat(await c.cachedump(SERVERS[0], Number(slab), 100)))); // memcached's may lag
  },
  "version is a memcached one": async () => {
    const [version] = await c.version();
    equal([version.major, version.minor], ["1", "6"].map((word) => (typeof version.major === "number" ? Number(word) : word)));
  },
  "a pool of connections serves many at once": async () => {
    const list = keys(1000);
    await Promise.all(list.map(async (k) => {
      yes(await c.set(k, k, 0));
      equal(await c.get(k), k);
    }));
  },
  "end closes and a new client goes on": async () => {
    const [one, k] = [client(), key()];
    await one.set(k, "v", 0);
    one.plain.end();
    equal(await client().get(k), "v");
  },
  "flush empties": async () => {
    const k = key();
    await c.set(k, "v", 0);
    equal(await c.flush(), [true]);
    equal(await c.get(k), undefined);
    yes(await c.set(k, "new", 0));
  },
});
