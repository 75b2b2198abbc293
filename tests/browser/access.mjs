/* For everyone: axe in both colours, the keyboard alone, a narrow screen, no script, little weight. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Browser, eventually, showsText } from './lib/browser.mjs';
import { test } from './lib/report.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const BUDGET_BYTES = 150 * 1024;
const NARROW = { width: 320, height: 800 };

export const VIEWS = [
  { name: 'overview', path: '/', ready: '[data-state="live"]' },
  { name: 'keys', path: '/keys', ready: '.keys tbody tr' },
  { name: 'key', path: '/keys?prefix=user:1&key=user:1', ready: '.value pre' },
  { name: 'connections', path: '/connections', ready: '.connections tbody tr' },
  { name: 'actions', path: '/actions', ready: '.setting' },
  { name: 'no-such-page', path: '/nowhere', ready: 'h1' },
];

async function axeFindings(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`);
}

async function axeTests(browser, server) {
  await test('access: axe does find what is wrong', async () => {
    const page = await browser.open(`${server.url}/actions`);
    await page.locator('.setting').first().waitFor();
    await page.evaluate(() => {
      document.documentElement.style.setProperty('--muted', '#c8c8c8');
      document.querySelector('#main').append(document.createElement('button'));
    });
    const ids = (await axeFindings(page)).map((finding) => finding.split(':')[0]);
    assert.deepEqual(ids.sort(), ['button-name', 'color-contrast']);
    await page.context().close();
  });
  for (const colorScheme of ['light', 'dark']) {
    for (const view of VIEWS) {
      await test(`access: axe finds nothing on ${view.name}, ${colorScheme}`, async () => {
        const page = await browser.open(server.url + view.path, { colorScheme });
        await page.locator(view.ready).first().waitFor();
        for (const summary of await page.locator('summary').all()) await summary.click();
        assert.deepEqual(await axeFindings(page), []);
        await page.context().close();
      });
    }
    await test(`access: axe finds nothing in an open dialog, ${colorScheme}`, async () => {
      const page = await browser.open(`${server.url}/actions`, { colorScheme });
      await page.getByRole('button', { name: 'Flush…' }).click();
      await page.locator('dialog[open]').waitFor();
      assert.deepEqual(await axeFindings(page), []);
      await page.context().close();
    });
  }
}

/* Presses Tab until what has the focus is what was looked for. */
async function tabTo(page, selector) {
  for (let i = 0; i < 200; i++) {
    await page.keyboard.press('Tab');
    if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return;
  }
  throw new Error(`Tab never comes to ${selector}`);
}

const focused = (page) => page.evaluate(() => document.activeElement?.textContent ?? '');

async function keyboardTests(browser, server) {
  await test('access: from arrival to a deleted key by keyboard alone', async () => {
    const client = await server.client();
    await client.set('keyboard:1', 'x');
    const page = await browser.open(`${server.url}/`);
    await page.locator('[data-state="live"]').waitFor();
    await page.keyboard.press('Tab');
    assert.equal(await focused(page), 'Skip to the content');
    await page.keyboard.press('Enter');
    await eventually('focus in main', () => page.evaluate(() => document.activeElement?.id === 'main'));
    await page.keyboard.press('Shift+Tab');
    await page.goto(`${server.url}/`);
    await tabTo(page, 'nav a[href="/keys"]');
    await page.keyboard.press('Enter');
    await eventually('focus on the heading', async () => (await focused(page)) === 'Keys');
    assert.equal(await page.title(), 'Keys · Vitrine');
    await tabTo(page, '#filter-prefix');
    await page.keyboard.type('keyboard:');
    await page.keyboard.press('Enter');
    await showsText(page.locator('.list-foot .caption'), '1 key: that is all.');
    await tabTo(page, '.keys tbody a');
    await page.keyboard.press('Enter');
    await page.locator('.value pre').waitFor();
    await tabTo(page, '.key-panel button.danger');
    await page.keyboard.press('Enter');
    await page.locator('dialog[open]').waitFor();
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
    assert.equal((await client.get('keyboard:1')).toString(), 'x');
    assert.equal(await focused(page), 'Delete…');
    await page.keyboard.press('Enter');
    await page.locator('dialog[open]').waitFor();
    await tabTo(page, 'dialog button.danger');
    await page.keyboard.press('Enter');
    await page.locator('.key-panel').waitFor({ state: 'detached' });
    assert.equal(await client.get('keyboard:1'), null);
    assert.deepEqual(page.complaints, []);
    client.end();
    await page.context().close();
  });

  await test('access: every stop of the Tab key can be seen', async () => {
    for (const view of VIEWS) {
      const page = await browser.open(server.url + view.path);
      await page.locator(view.ready).first().waitFor();
      await page.getByRole('button', { name: 'Pause updates' }).click();
      await page.evaluate(() => document.activeElement?.blur());
      for (let i = 0; i < 25; i++) {
        await page.keyboard.press('Tab');
        const unseen = await page.evaluate(() => {
          const node = document.activeElement;
          if (!node || node === document.body) return '';
          const ring = node.matches('.choice input') ? node.closest('label') : node;
          const { outlineStyle, outlineWidth } = getComputedStyle(ring);
          return outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 ? '' : node.outerHTML.slice(0, 200);
        });
        assert.equal(unseen, '', `on ${view.name}`);
      }
      await page.context().close();
    }
  });
}

async function narrowTests(browser, server) {
  for (const view of VIEWS) {
    await test(`access: ${view.name} fits 320 px without sideways scrolling`, async () => {
      const page = await browser.open(server.url + view.path, { viewport: NARROW });
      await page.locator(view.ready).first().waitFor();
      for (const summary of await page.locator('summary').all()) await summary.click();
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= NARROW.width, `${width} px wide`);
      await page.context().close();
    });
  }
}

async function frameTests(browser, server) {
  await test('access: the colours chosen hold after a reload', async () => {
    const page = await browser.open(`${server.url}/`, { colorScheme: 'light' });
    const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = await ground();
    await page.getByRole('radio', { name: 'dark' }).check();
    await eventually('another ground', async () => (await ground()) !== light);
    const dark = await ground();
    await page.reload();
    assert.equal(await ground(), dark);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  await test('access: without script there is a line that says where the figures are', async () => {
    const scriptless = await Browser.start('--blink-settings=scriptEnabled=false');
    const page = await scriptless.open(`${server.url}/`, { javaScriptEnabled: false });
    const session = await page.context().newCDPSession(page);
    const { nodes } = await session.send('Accessibility.getFullAXTree');
    const words = nodes.map((node) => node.name?.value ?? '').join('\n');
    assert.match(words, /The dashboard needs JavaScript/);
    assert.match(words, /^\/metrics$/m);
    await scriptless.stop();
  });

  await test('access: nothing moves where less motion is wished for', async () => {
    const page = await browser.open(`${server.url}/`, { reducedMotion: 'reduce' });
    const moving = await page.evaluate(() =>
      [...document.querySelectorAll('*')].filter((node) => {
        const { transitionDuration, animationName } = getComputedStyle(node);
        return animationName !== 'none' || transitionDuration.split(',').some((text) => parseFloat(text) > 0);
      }).length,
    );
    assert.equal(moving, 0);
    await page.context().close();
  });

  await test('weight: all of the dashboard is at most 150 KiB over the wire, and its own', async () => {
    const page = await browser.open(`${server.url}/`);
    await page.locator('[data-state="live"]').waitFor();
    let total = 0;
    let files = 0;
    for (const request of page.requests) {
      if (new URL(request.url()).pathname.startsWith('/api/')) continue;
      const { responseBodySize, responseHeadersSize } = await request.sizes();
      total += responseBodySize + responseHeadersSize;
      files++;
    }
    assert.ok(files >= 3, `${files} files`);
    assert.ok(total <= BUDGET_BYTES, `${total} bytes`);
    console.log(`      ${files} files, ${total} bytes over the wire`);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  await test('frame: hashed files are kept for ever, the page is asked for anew', async () => {
    const page = await (await fetch(`${server.url}/keys`)).text();
    const [script] = page.match(/\/assets\/app-[0-9a-f]+\.js/);
    const asset = await fetch(server.url + script);
    assert.match(asset.headers.get('Cache-Control'), /immutable/);
    const root = await fetch(`${server.url}/`);
    assert.doesNotMatch(root.headers.get('Cache-Control'), /immutable/);
    const again = await fetch(`${server.url}/`, { headers: { 'If-None-Match': root.headers.get('ETag') } });
    assert.equal(again.status, 304);
    assert.match(root.headers.get('Content-Security-Policy'), /require-trusted-types-for 'script'/);
    assert.doesNotMatch(root.headers.get('Content-Security-Policy'), /unsafe/);
  });
}

export async function accessTests(browser, server) {
  await axeTests(browser, server);
  await keyboardTests(browser, server);
  await narrowTests(browser, server);
  await frameTests(browser, server);
}
