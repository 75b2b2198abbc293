// What the Node programs of the matrix share: the servers, unique keys, and a line a check.
import { strict as assert } from "node:assert";
import net from "node:net";

export const SERVERS = process.env.MATRIX_SERVERS.split(",");
export const DEAD = process.env.MATRIX_DEAD;
export const PATH = process.env.MATRIX_PATH;
export const equal = assert.deepEqual;
export const yes = assert.ok;
export const rejects = assert.rejects;

let count = 0;
export const key = (word = "key") => `${word}-${count++}`;
export const keys = (number, word) => Array.from({ length: number }, () => key(word));
// As BRIEF_S and UNTIL_GONE_S of harness.py.
export const [BRIEF_S, UNTIL_GONE_MS] = [3, 4100];
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
export const now = () => Math.floor(Date.now() / 1000);

// How many of the keys one server holds, asked in text.
export function held(address, list) {
  const at = address.lastIndexOf(":");
  return new Promise((done, fail) => {
    const socket = net.connect(Number(address.slice(at + 1)), address.slice(0, at));
    let text = "";
    socket.on("error", fail);
    socket.on("data", (data) => {
      text += data;
      if (text.endsWith("END\r\n")) {
        socket.destroy();
        done(text.split("VALUE ").length - 1);
      }
    });
    socket.write(`get ${list.join(" ")}\r\n`);
  });
}

// Runs {name: async function}, each for at most so many seconds; then ends the program.
export async function run(checks, limit_s = 20) {
  for (const [name, check] of Object.entries(checks)) {
    let timer;
    const late = new Promise((_, fail) => {
      timer = setTimeout(() => fail(new Error(`no answer after ${limit_s} s`)), limit_s * 1000);
    });
    try {
      await Promise.race([check(), late]);
      console.log(`ok ${name}`);
    } catch (problem) {
      console.log(`FAIL ${name}: ${String(problem.message || problem).replace(/\s+/g, " ").slice(0, 300)}`);
    }
    clearTimeout(timer);
  }
  process.exit(0);
}
