/* The Overview says what the traffic was. */

import assert from 'node:assert/strict';
import { eventually, showsText, stopsAsking, textOf } from './lib/browser.mjs';
import { test } from './lib/report.mjs';

const ITEMS = 200;
const HITS = 300;
const MISSES = 100;

const fact = (page, name) => page.locator(`[data-fact="${name}"]`);

async function sendTraffic(server) {
  const client = await server.client();
  for (let i = 0; i < ITEMS; i++) await client.set(`overview:${i}`, 'v'.repeat(100));
  for (let i = 0; i < HITS; i++) assert.notEqual(await client.get(`overview:${i % ITEMS}`), null);
  for (let i = 0; i < MISSES; i++) assert.equal(await client.get(`absent:${i}`), null);
  client.end();
}

/* Pixels of the canvas that have the colour of the first line. */
function inkedPixels(chart) {
  return chart.locator('canvas').evaluate((canvas) => {
    const copy = Object.assign(document.createElement('canvas'), { width: canvas.width, height: canvas.height + 1 });
    const pen = copy.getContext('2d', { willReadFrequently: true });
    pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--line-1');
    pen.fillRect(0, canvas.height, 1, 1);
    const [r, g, b] = pen.getImageData(0, canvas.height, 1, 1).data;
    pen.drawImage(canvas, 0, 0);
    const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
      const away = Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b);
      if (data[i + 3] > 200 && away < 30) count++;
    }
    return count;
  });
}

export async function overviewTests(browser, server) {
  await test('overview: an untouched cache has no ratio, not 0 % and not 100 %', async () => {
    const page = await browser.open(`${server.url}/`);
    await showsText(fact(page, 'hit_ratio'), 'no requests yet');
    await showsText(fact(page, 'items'), '0');
    assert.equal(await page.title(), 'Overview · Vitrine');
    const ratios = await page.locator('.windows .figure').allInnerTexts();
    assert.deepEqual(ratios, ['none', 'none', 'none', 'none', 'none']);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  await sendTraffic(server);

  await test('overview: hit ratio and items are those of the traffic', async () => {
    const page = await browser.open(`${server.url}/?window=total`);
    await showsText(fact(page, 'hit_ratio'), '75.0 %');
    await showsText(fact(page, 'items'), String(ITEMS));
    await showsText(fact(page, 'miss_never_seen').locator('dd'), String(MISSES));
    const caption = await textOf(page.locator('.hero .caption').first());
    assert.match(caption, /^300 hits and 100 misses in all time since the start/);
    assert.equal(await fact(page, 'hit_ratio').locator('.figure').getAttribute('title'), '0.750000');
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  await test('overview: every window tells its own ratio and can be chosen', async () => {
    const page = await browser.open(`${server.url}/`);
    await showsText(page.locator('.windows .figure').nth(3), '75.0 %');
    await page.getByRole('radio', { name: /^1h/ }).check();
    await eventually('the window in the address', () => new URL(page.url()).searchParams.get('window') === '1h');
    await eventually('the caption of an hour', async () => /in the last hour/.test(await textOf(page.locator('.hero .caption').first())));
    await showsText(fact(page, 'hit_ratio'), '75.0 %');
    await page.reload();
    await eventually('the window after a reload', () => page.getByRole('radio', { name: /^1h/ }).isChecked());
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  await test('overview: graphs are drawn from what was before the page opened', async () => {
    await eventually('three seconds of history', async () => {
      const { series } = await server.json('/api/v1/history?metric=items');
      return series.items.filter((value) => value === ITEMS).length >= 3;
    });
    const page = await browser.open(`${server.url}/?range=5m`);
    const chart = page.locator('[data-exhibit="items"] .chart');
    await eventually('a drawn chart', async () => (await chart.getAttribute('data-drawn')) === 'yes');
    await eventually('ink on the canvas', async () => (await inkedPixels(chart)) > 2);
    for (const name of ['operations', 'latency', 'memory', 'connections', 'network', 'departures', 'cpu', 'hit_ratio']) {
      const drawn = page.locator(`[data-exhibit="${name}"] .chart`);
      await eventually(`a drawn ${name}`, async () => (await drawn.getAttribute('data-drawn')) === 'yes');
    }
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  await test('overview: each chart has its points as a table', async () => {
    const page = await browser.open(`${server.url}/`);
    const items = page.locator('[data-exhibit="items"]');
    await items.locator('summary').click();
    await eventually('rows', async () => (await items.locator('tbody tr').count()) > 0);
    assert.deepEqual(await items.locator('thead th').allInnerTexts(), ['Time', 'items']);
    await showsText(items.locator('tbody tr td').first(), String(ITEMS));
    await page.context().close();
  });

  await test('overview: a range shows in the address and asks for its step', async () => {
    const page = await browser.open(`${server.url}/`);
    await page.getByRole('radio', { name: '6 h' }).check();
    await eventually('the range in the address', () => new URL(page.url()).searchParams.get('range') === '6h');
    await eventually('a request by ten seconds', () => page.requests.some((request) => /history.*step=10\b/.test(request.url())));
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  await test('overview: a term explains itself to pointer and keyboard, and Escape ends it', async () => {
    const page = await browser.open(`${server.url}/`);
    const term = page.getByRole('button', { name: 'Evictions and expiries' });
    await term.focus();
    await page.getByRole('tooltip').waitFor();
    assert.match(await page.getByRole('tooltip').innerText(), /-m is too small/);
    await page.keyboard.press('Escape');
    await page.getByRole('tooltip').waitFor({ state: 'detached' });
    await term.hover();
    await page.getByRole('tooltip').waitFor();
    await page.context().close();
  });

  await test('overview: pausing stops the asking, resuming goes on', async () => {
    const page = await browser.open(`${server.url}/`);
    await page.locator('[data-state="live"]').waitFor();
    await page.getByRole('button', { name: 'Pause updates' }).click();
    await page.locator('[data-state="paused"]').waitFor();
    const before = await stopsAsking(page);
    await page.getByRole('button', { name: 'Resume updates' }).click();
    await eventually('a new request', () => page.requests.length > before);
    await page.context().close();
  });

  await test('overview: a hidden page asks nothing and comes back by itself', async () => {
    const page = await browser.open(`${server.url}/`);
    await page.locator('[data-state="live"]').waitFor();
    const setHidden = (hidden) =>
      page.evaluate((value) => {
        Object.defineProperty(document, 'hidden', { configurable: true, get: () => value });
        document.dispatchEvent(new Event('visibilitychange'));
      }, hidden);
    await setHidden(true);
    const before = await stopsAsking(page);
    await setHidden(false);
    await eventually('a new request', () => page.requests.length > before);
    await page.context().close();
  });
}
