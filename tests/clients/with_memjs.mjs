// Node's memjs (binary), through its whole interface.
import memjs from "memjs";
import { BRIEF_S, DEAD, SERVERS, UNTIL_GONE_MS, equal, held, key, keys, now, rejects, run, sleep, yes } from "./matrix.mjs";

const OPTIONS = { timeout: 1, conntimeout: 1, retries: 1, failover: false, keepAlive: true, logger: { log() {} } };
const client = (servers = SERVERS[0], options = {}) => memjs.Client.create(servers, { ...OPTIONS, ...options });
const c = client();
const text = async (k, by = c) => (await by.get(k)).value?.toString() ?? null;
const call = (by, method, ...values) =>
  new Promise((done, fail) => by[method](...values, (error, ...data) => (error ? fail(error) : done(data))));

const user = process.env.MATRIX_USER;
const signedIn = (password, servers = SERVERS[0]) => client(servers, { username: user, password });

if (user) {
  await run({
    "right password is served": async () => {
      const [one, k] = [signedIn(process.env.MATRIX_PASSWORD, SERVERS.join(",")), key()];
      yes(await one.set(k, "v", {}));
      equal(await text(k, one), "v");
    },
    "wrong password is refused": async () => rejects(signedIn("wrong").set(key(), "v", {})),
    "no password is refused": async () => rejects(c.set(key(), "v", {})),
  });
}

run({
  "values round trip as bytes": async () => {
    const k = key();
    for (const value of [Buffer.from("text"), Buffer.from([13, 10, 0, 255]), Buffer.from("grüße 世界")]) {
      yes(await c.set(k, value, {}));
      equal((await c.get(k)).value, value);
    }
  },
  "flags come back": async () => {
    const k = key();
    await c.set(k, "v", {});
    equal((await c.get(k)).flags.length, 4);
  },
  "a miss is null": async () => equal((await c.get(key())).value, null),
  "callbacks are served as promises are": async () => {
    const k = key();
    equal(await call(c, "set", k, "v", {}), [true]);
    equal((await call(c, "get", k))[0].toString(), "v");
    equal(await call(c, "delete", k), [true]);
  },
  "values of many sizes": async () => {
    const k = key();
    for (const size of [0, 1, 100, 4096, 16384, 16385, 100000, 1000000]) {
      yes(await c.set(k, "x".repeat(size), {}));
      equal((await text(k)).length, size);
    }
  },
  "value over the limit is refused": async () => {
    const k = key();
    await c.set(k, "old", {});
    await rejects(c.set(k, "x".repeat((1 << 20) + 1), {}));
    const fresh = client();
    equal(await text(k, fresh), null);
    yes(await fresh.set(k, "new", {}));
  },
  "add and replace ask first": async () => {
    const k = key();
    equal([await c.replace(k, "0", {}), await c.add(k, "1", {}), await c.add(k, "2", {}), await c.replace(k, "3", {})],
      [false, true, false, true]);
    equal(await text(k), "3");
  },
  "append and prepend extend": async () => {
    const k = key();
    await rejects(c.append(k, "x"), /not stored/);
    await rejects(c.prepend(k, "x"), /not stored/);
    await c.set(k, "b", {});
    equal([await c.append(k, "c"), await text(k)], [true, "bc"]);
    equal([await c.prepend(k, "a"), await text(k)], [true, "bca"]); // memjs sends the opcode of append for both
  },
  "counters create, count and stop at nought": async () => {
    const k = key();
    const count = async (method, amount, options = {}) => (await c[method](k, amount, options)).value;
    equal([await count("increment", 1, { initial: 5 }), await count("increment", 5), await count("decrement", 4),
      await count("decrement", 100)], [5, 10, 6, 0]);
  },
  "counter of text is refused": async () => {
    const k = key();
    await c.set(k, "text", {});
    await rejects(async () => {
      if (!(await c.increment(k, 1, {})).success) throw new Error("refused");
    });
    equal(await text(k), "text");
  },
  "expiry, touch and absolute times": async () => {
    const [short, kept, far] = keys(3);
    await Promise.all([[short, BRIEF_S], [kept, BRIEF_S], [far, now() + 40 * 86400]].map(([k, expires]) => c.set(k, "v", { expires })));
    equal([await c.touch(kept, 100), await c.touch(key(), 100)], [true, false]);
    await sleep(UNTIL_GONE_MS);
    equal([await text(short), await text(kept), await text(far)], [null, "v", "v"]);
  },
  "default expiry of the client": async () => {
    const [brief, k] = [client(SERVERS[0], { expires: 1 }), key()];
    await brief.set(k, "v", {});
    await sleep(2100);
    equal(await text(k), null);
  },
  "delete tells": async () => {
    const k = key();
    await c.set(k, "v", {});
    equal([await c.delete(k), await c.delete(k)], [true, false]);
  },
  "longest and odd keys": async () => {
    for (const k of ["k".repeat(250), "ключ-鍵"]) {
      yes(await c.set(k, "v", {}));
      equal(await text(k), "v");
    }
  },
  "three servers share the keys": async () => {
    const [ring, list] = [client(SERVERS.join(",")), keys(90, "several")];
    for (const k of list) {
      yes(await ring.set(k, k, {}));
    }
    const counts = await Promise.all(SERVERS.map((server) => held(server, list)));
    equal(counts[0] + counts[1] + counts[2], 90);
    yes(Math.min(...counts) > 0);
  },
  "dead server is failed over": async () => {
    const ring = client(`${DEAD},${SERVERS[0]}`, { failover: true, retries: 1, failoverTime: 60, retry_delay: 0.05 });
    for (const k of keys(20)) {
      yes(await ring.set(k, "v", {}));
      equal(await text(k, ring), "v");
    }
  },
  "stats of every group and their reset": async () => {
    await c.set(key(), "v", {});
    const ask = (method, ...values) => new Promise((done, fail) =>
      c[method](...values, (error, server, stats) => (error ? fail(error) : done(stats))));
    yes(Number((await ask("stats")).curr_items) >= 1);
    yes(await ask("statsWithKey", "settings"));
    yes(await ask("resetStats"));
  },
  "many at once on one connection": async () => {
    const list = keys(500);
    await Promise.all(list.map((k) => c.set(k, k, {})));
    equal(await Promise.all(list.map((k) => text(k))), list);
  },
  "quit and close, then a new client goes on": async () => {
    const [one, k] = [client(), key()];
    await one.set(k, "v", {});
    one.quit();
    const two = client();
    equal(await text(k, two), "v");
    two.close();
  },
  "flush empties every server": async () => {
    const k = key();
    await c.set(k, "v", {});
    await new Promise((done, fail) => client(SERVERS.join(",")).flush((error, results) => (error ? fail(error) : done(results))));
    equal(await text(k), null);
    yes(await c.set(k, "new", {}));
  },
});
