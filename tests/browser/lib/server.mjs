/* The real daemon on ports of its own, and a cache client small enough to trust. */

import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const BINARY = process.env.VITRINE ?? 'build/vitrine';
const READY_TRIES = 600;
const READY_REST_MS = 50;

const FIRST_PORT = 10000;
const PORT_COUNT = 22000;
const RESERVED_AT = '127.11.211.1';

/* A listener at this address, or null when it is taken. */
async function bound(address, port) {
  const probe = net.createServer();
  return new Promise((resolve) => {
    probe.once('error', () => resolve(null));
    probe.listen(port, address, () => resolve(probe));
  });
}

/* A port that is ours until this process ends, also while the server is away: it lies below those that connections are
 * given, and the same port at an address that nobody uses stands for it (tests/lib/servers.py does the same). */
async function freePort() {
  for (;;) {
    const port = FIRST_PORT + randomInt(PORT_COUNT);
    const reservation = await bound(RESERVED_AT, port);
    const probe = reservation && (await bound('127.0.0.1', port));
    reservation?.unref();
    if (probe) {
      await new Promise((resolve) => probe.close(resolve));
      return port;
    }
    reservation?.close();
  }
}

async function isReady(url) {
  const response = await fetch(`${url}/readyz`).catch(() => null);
  return response?.ok ?? false;
}

export class Server {
  #child = null;
  #args;
  log = '';

  constructor(cachePort, adminPort, args) {
    this.cachePort = cachePort;
    this.url = `http://127.0.0.1:${adminPort}`;
    this.#args = ['-l', '127.0.0.1', '-p', String(cachePort), '--admin-listen', `127.0.0.1:${adminPort}`, ...args];
    if (process.getuid() === 0) this.#args.push('-u', 'root');
  }

  static async start(...args) {
    const server = new Server(await freePort(), await freePort(), args);
    if (!(await server.run())) throw new Error(`${BINARY} does not start:\n${server.log}`);
    return server;
  }

  async run() {
    const child = spawn(BINARY, this.#args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let failure = null;
    child.on('error', (error) => (failure = error));
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (this.log += data));
    this.#child = child;
    for (let i = 0; i < READY_TRIES; i++) {
      if (failure) throw failure;
      if (child.exitCode !== null || child.signalCode !== null) return false;
      if (await isReady(this.url)) return true;
      await sleep(READY_REST_MS);
    }
    await this.stop();
    return false;
  }

  async stop() {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }

  async json(path) {
    const response = await fetch(this.url + path);
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    return response.json();
  }

  client() {
    return Client.connect(this.cachePort);
  }
}

export class Client {
  #socket;
  #received = Buffer.alloc(0);
  #wake = () => {};
  closed = false;

  static async connect(port) {
    const client = new Client();
    client.#socket = net.connect(port, '127.0.0.1');
    client.#socket.on('data', (data) => {
      client.#received = Buffer.concat([client.#received, data]);
      client.#wake();
    });
    client.#socket.on('error', () => {});
    client.#socket.on('close', () => {
      client.closed = true;
      client.#wake();
    });
    await once(client.#socket, 'connect');
    return client;
  }

  async #until(isEnough) {
    while (!isEnough()) {
      if (this.closed) throw new Error('the server closed the connection');
      await new Promise((resolve) => (this.#wake = resolve));
    }
    const reply = this.#received;
    this.#received = Buffer.alloc(0);
    return reply;
  }

  /* Sends a request; its reply ends with `end`. */
  async ask(request, end = '\r\n') {
    this.#socket.write(request);
    return this.#until(() => this.#received.subarray(-end.length).toString('latin1') === end);
  }

  async set(key, value, ttl = 0, flags = 0) {
    const data = Buffer.from(value);
    const reply = await this.ask(
      Buffer.concat([
        Buffer.from('set '),
        Buffer.from(key),
        Buffer.from(` ${flags} ${ttl} ${data.length}\r\n`),
        data,
        Buffer.from('\r\n'),
      ]),
    );
    if (reply.toString() !== 'STORED\r\n') throw new Error(`set: ${reply}`);
  }

  /* The value, or null on a miss. */
  async get(key) {
    const reply = await this.ask(Buffer.concat([Buffer.from('get '), Buffer.from(key), Buffer.from('\r\n')]), 'END\r\n');
    if (reply.toString('latin1') === 'END\r\n') return null;
    const head = reply.indexOf('\r\n') + 2;
    return reply.subarray(head, reply.length - 'END\r\n'.length - 2);
  }

  async stats() {
    const text = (await this.ask('stats\r\n', 'END\r\n')).toString();
    return Object.fromEntries([...text.matchAll(/^STAT (\S+) (.*)\r$/gm)].map(([, name, value]) => [name, value]));
  }

  /* Resolves when the server has ended the connection. */
  async gone() {
    while (!this.closed) await new Promise((resolve) => (this.#wake = resolve));
  }

  end() {
    this.#socket.destroy();
  }
}
