/* The dashboard in a real browser against the real daemon. `make browser-check` runs it.
 * VITRINE: the binary; CHROMIUM: the browser; ONLY: part of the names of the tests to run. */

import { mkdirSync } from 'node:fs';
import { accessTests } from './access.mjs';
import { actionsTests } from './actions.mjs';
import { fillKeys, keysTests } from './keys.mjs';
import { lineTests } from './line.mjs';
import { overviewTests } from './overview.mjs';
import { Browser } from './lib/browser.mjs';
import { summary } from './lib/report.mjs';
import { Server } from './lib/server.mjs';
import { takeEmptyAndBusy, takeScreenshots } from './screenshots.mjs';

const SCREENSHOTS = 'build/screenshots';

/* Each part has a server of its own, so that none sees another's traffic. */
async function withServer(body, memory = '64') {
  const server = await Server.start('-m', memory, '-t', '1');
  try {
    await body(server);
  } finally {
    await server.stop();
  }
}

async function main() {
  mkdirSync(SCREENSHOTS, { recursive: true });
  const browser = await Browser.start();
  try {
    await withServer((server) => overviewTests(browser, server));
    await withServer((server) => keysTests(browser, server));
    await withServer((server) => actionsTests(browser, server));
    await withServer((server) => lineTests(browser, server, SCREENSHOTS));
    await withServer(async (server) => {
      await fillKeys(server);
      const client = await server.client();
      await client.ask('version\r\n');
      await accessTests(browser, server);
      if (!process.env.ONLY) await takeScreenshots(browser, server, SCREENSHOTS);
      client.end();
    });
    if (!process.env.ONLY) await withServer((server) => takeEmptyAndBusy(browser, server, SCREENSHOTS), '16');
  } finally {
    await browser.stop();
  }
  return summary();
}

process.exitCode = await main();
