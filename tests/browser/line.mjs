/* The server goes away and comes back; the page says so, and needs nobody to press reload. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { eventually, showsText } from './lib/browser.mjs';
import { test } from './lib/report.mjs';

const EXPECTED = /ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/;

export async function lineTests(browser, server, screenshots) {
  await test('line: a stopped server is told on every page, and its return is noticed', async () => {
    const client = await server.client();
    await client.set('before', 'x');
    client.end();
    const pages = [];
    for (const path of ['/', '/keys', '/connections', '/actions']) pages.push(await browser.open(server.url + path));
    for (const page of pages) await page.locator('[data-state="live"]').waitFor();

    await server.stop();
    for (const page of pages) {
      await page.bringToFront();
      await page.locator('[data-banner="disconnected"]').waitFor();
      await showsText(page.locator('.freshness b'), 'disconnected');
      assert.match(await page.title(), /^Disconnected · /);
    }
    await pages[0].bringToFront();
    await pages[0].screenshot({ path: join(screenshots, 'overview-disconnected.png'), fullPage: true });

    assert.ok(await server.run(), 'the server is back');
    for (const page of pages) {
      await page.bringToFront();
      await page.locator('[data-banner="disconnected"]').waitFor({ state: 'detached' });
      await page.locator('[data-state="live"]').waitFor();
      assert.deepEqual(page.complaints.filter((text) => !EXPECTED.test(text)), []);
    }
    await showsText(pages[0].locator('[data-fact="items"]'), '0');
    await eventually('a graph of the new process', () =>
      pages[0].requests.some((request) => /\/history/.test(request.url())),
    );
    for (const page of pages) await page.context().close();
  });
}
