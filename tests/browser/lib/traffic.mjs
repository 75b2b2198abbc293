/* A look-aside cache at work: skewed keys, misses filled, some with a time to live; more than fits. */

const CLIENTS = 4;
const KEYS = 60000;
const VALUE = 'x'.repeat(500);

const FILL = 1000; // keys sent together

const valueOf = (number) => `{"user":${number},"cart":"${VALUE}"}`;

/* Every key once, so that the cache is full from the start however slow the machine. */
async function fill(client) {
  for (let first = 0; first < KEYS; first += FILL) {
    let text = '';
    for (let number = first; number < first + FILL; number++) {
      const value = valueOf(number);
      text += `set session:${number} 0 0 ${value.length} noreply\r\n${value}\r\n`;
    }
    await client.ask(`${text}version\r\n`);
  }
}

/* Returns what ends it. */
export async function startTraffic(server) {
  let ended = false;
  const work = async (client) => {
    while (!ended) {
      const number = Math.floor(Math.random() ** 3 * KEYS);
      const key = `session:${number}`;
      if ((await client.get(key)) === null) await client.set(key, valueOf(number), number % 3 ? 0 : 10);
    }
    client.end();
  };
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => server.client()));
  await fill(clients[0]);
  const running = Promise.all(clients.map(work));
  running.catch(() => {}); // told to whoever ends it
  return async () => {
    ended = true;
    await running;
  };
}
