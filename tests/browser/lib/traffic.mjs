/* A look-aside cache at work: skewed keys, misses filled, some with a time to live; more than fits. */

const CLIENTS = 4;
const KEYS = 60000;
const VALUE = 'x'.repeat(500);

/* Returns what ends it. */
export async function startTraffic(server) {
  let ended = false;
  const work = async (client) => {
    while (!ended) {
      const number = Math.floor(Math.random() ** 3 * KEYS);
      const key = `session:${number}`;
      if ((await client.get(key)) === null) await client.set(key, `{"user":${number},"cart":"${VALUE}"}`, number % 3 ? 0 : 10);
    }
    client.end();
  };
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => server.client()));
  const running = clients.map(work);
  return async () => {
    ended = true;
    await Promise.all(running);
  };
}
