/* Keys: browse, look closer, take out; and keys that would like to be markup. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { eventually, showsText, textOf } from './lib/browser.mjs';
import { test } from './lib/report.mjs';

const runProgram = promisify(execFile);

const USERS = 250;
const JSON_TEXT = '{"id":12345678901234567890,"tags":["a","b"],"empty":{}}';

export const HOSTILE = [
  { key: '<img/src=x/onerror=alert(1)>', shown: '<img/src=x/onerror=alert(1)>' },
  { key: '</script><script>alert(2)</script>', shown: '</script><script>alert(2)</script>' },
  { key: `"'><svg/onload=alert(3)>`, shown: `"'><svg/onload=alert(3)>` },
  { key: 'invoice\u202etxt.exe', shown: 'invoice\\u{202e}txt.exe' },
  { key: Buffer.from([0xff, 0xfe, 0x41, 0x80]), shown: '\\xff\\xfeA\\x80' },
  { key: '..', shown: '..' },
  { key: 'a/b?c#d%2e&e=f', shown: 'a/b?c#d%2e&e=f' },
  { key: '🗝️é', shown: '🗝️é' },
];
const HOSTILE_VALUE = '<script>alert(4)</script>\u202e<b>bold</b>';

export async function fillKeys(server) {
  const client = await server.client();
  for (let i = 0; i < USERS; i++) await client.set(`user:${i}`, `name ${i}`, i % 2 ? 3600 : 0);
  await client.set('doc:json', JSON_TEXT);
  await client.set('doc:large', Buffer.alloc(100000, 'large '));
  await client.set('doc:binary', Buffer.from([0, 1, 2, 255, 254, 65]));
  await client.set('doc:empty', '');
  await client.set(`doc:${'long'.repeat(61)}zz`, 'the longest key there may be: 250 bytes');
  for (const { key } of HOSTILE) await client.set(key, HOSTILE_VALUE);
  client.end();
}

const rows = (page) => page.locator('.keys tbody tr');
const listed = (page) => page.locator('.keys tbody th').allInnerTexts();

async function browse(page, prefix) {
  await page.getByLabel('Prefix').fill(prefix);
  await page.getByRole('button', { name: 'Browse' }).click();
}

async function loadAll(page) {
  const foot = page.locator('.list-foot .caption');
  for (;;) {
    await eventually('a settled list', async () => (await textOf(foot)) !== 'Looking…');
    const more = page.getByRole('button', { name: 'Load more' });
    if ((await more.count()) === 0) return;
    await more.click();
  }
}

async function browsingTests(browser, server) {
  await test('keys: a prefix is browsed page by page to its end, each key once', async () => {
    const page = await browser.open(`${server.url}/keys`);
    await browse(page, 'user:');
    await eventually('the prefix in the address', () => new URL(page.url()).searchParams.get('prefix') === 'user:');
    await eventually('first rows', async () => (await rows(page).count()) > 0);
    await eventually('a way to more', () => page.getByRole('button', { name: 'Load more' }).isVisible());
    const first = await rows(page).count();
    await loadAll(page);
    const all = await listed(page);
    assert.ok(first < USERS, `${first} of ${USERS} at first`);
    assert.equal(all.length, USERS);
    assert.equal(new Set(all).size, USERS);
    assert.ok(all.every((key) => key.startsWith('user:')));
    await showsText(page.locator('.list-foot .caption'), `${USERS} keys: that is all.`);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  await test('keys: glob, time to live and a deep link narrow the list', async () => {
    const page = await browser.open(`${server.url}/keys?match=user:1%3F`);
    await showsText(page.locator('.list-foot .caption'), '10 keys: that is all.');
    await page.getByLabel('Expires within, s').fill('4000');
    await page.getByRole('button', { name: 'Browse' }).click();
    await showsText(page.locator('.list-foot .caption'), '5 keys: that is all.');
    assert.deepEqual((await listed(page)).sort(), ['user:11', 'user:13', 'user:15', 'user:17', 'user:19']);
    await page.goBack();
    await showsText(page.locator('.list-foot .caption'), '10 keys: that is all.');
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  await test('keys: nothing found is said so', async () => {
    const page = await browser.open(`${server.url}/keys?prefix=nobody:`);
    await showsText(page.locator('.list-foot .caption'), 'No key matches.');
    await page.context().close();
  });

  await test('keys: looking at keys and values counts nothing', async () => {
    const client = await server.client();
    const before = await client.stats();
    const page = await browser.open(`${server.url}/keys?prefix=doc:&key=doc:json`);
    await page.locator('.value pre').waitFor();
    const after = await client.stats();
    assert.equal(after.cmd_get, before.cmd_get);
    assert.equal(after.get_hits, before.get_hits);
    client.end();
    await page.context().close();
  });
}

async function valueTests(browser, server) {
  await test('keys: a value is shown as JSON with its integers whole, as text and as hex', async () => {
    const page = await browser.open(`${server.url}/keys?key=doc:json`);
    const value = page.locator('.value pre');
    await eventually('indented JSON', async () => (await value.innerText()).includes('  "id": 12345678901234567890,\n'));
    await page.getByRole('radio', { name: 'text' }).check();
    assert.equal(await value.innerText(), JSON_TEXT);
    await page.getByRole('radio', { name: 'hex' }).check();
    assert.match(await value.innerText(), /^000000 {2}7b 22 69 64 22 3a 31 32 {2}33/);
    await showsText(page.locator('.value-head .caption'), `${JSON_TEXT.length} B`);
    await page.context().close();
  });

  await test('keys: a long value comes in stretches, a binary one as hex, an empty one in words', async () => {
    const page = await browser.open(`${server.url}/keys?key=doc:large`);
    const value = page.locator('.value pre');
    await value.waitFor();
    for (let more = page.getByRole('button', { name: /^Load more of/ }); await more.count(); ) {
      const before = (await value.innerText()).length;
      await more.click();
      await eventually('more of the value', async () => (await value.innerText()).length > before);
    }
    assert.equal((await value.innerText()).length, 100000);
    await page.goto(`${server.url}/keys?key=doc:binary`);
    await eventually('hex', async () => /^000000 {2}00 01 02 ff fe 41 .*\.\.\.\.\.A$/.test(await value.innerText()));
    const download = await fetch(server.url + (await page.getByRole('link', { name: 'Download' }).getAttribute('href')));
    assert.match(download.headers.get('Content-Disposition'), /^attachment/);
    assert.deepEqual([...new Uint8Array(await download.arrayBuffer())], [0, 1, 2, 255, 254, 65]);
    await page.goto(`${server.url}/keys?key=doc:empty`);
    await page.getByText('The value is empty.').waitFor();
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  await test('keys: the command copied for a key is the one that works', async () => {
    const page = await browser.open(`${server.url}/keys?key=doc:json`);
    await page.locator('.key-panel').getByRole('button', { name: 'Copy delete as curl' }).click();
    await page.getByRole('button', { name: 'Copied' }).waitFor();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.equal(copied, `curl -X DELETE -H 'Content-Type: application/json' ${server.url}/api/v1/keys/doc:json`);
    await page.context().close();
  });

  await test('keys: the command copied for a key full of shell characters deletes that key', async () => {
    const key = `it's;$(reboot)&"x"?#/%41`;
    const client = await server.client();
    await client.set(key, 'x');
    const page = await browser.open(`${server.url}/keys?key=${encodeURIComponent(key)}`);
    await page.locator('.key-panel').getByRole('button', { name: 'Copy delete as curl' }).click();
    await page.getByRole('button', { name: 'Copied' }).waitFor();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    await runProgram('sh', ['-c', copied.replace(/^curl /, 'curl -sSf ')]);
    assert.equal(await client.get(key), null);
    client.end();
    await page.context().close();
  });
}

async function deletionTests(browser, server) {
  await test('keys: delete asks first, then the key is gone for clients', async () => {
    const client = await server.client();
    const page = await browser.open(`${server.url}/keys?prefix=user:24`);
    await page.getByRole('link', { name: 'user:240', exact: true }).click();
    await page.getByRole('button', { name: 'Delete…' }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    assert.equal((await client.get('user:240')).toString(), 'name 240');
    await page.getByRole('button', { name: 'Delete…' }).click();
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    await page.locator('.key-panel').waitFor({ state: 'detached' });
    assert.equal(await client.get('user:240'), null);
    assert.ok(!(await listed(page)).includes('user:240'));
    assert.deepEqual(page.complaints, []);
    client.end();
    await page.context().close();
  });

  await test('keys: a key that is not there is told in plain words', async () => {
    const page = await browser.open(`${server.url}/keys?key=never-was`);
    await page.getByText('This key is not in the cache').waitFor();
    const expected = /status of 404/;
    assert.deepEqual(page.complaints.filter((text) => !expected.test(text)), []);
    await page.context().close();
  });
}

async function hostileTests(browser, server) {
  await test('keys: hostile keys are shown as the text they are, and do nothing', async () => {
    const page = await browser.open(`${server.url}/keys`);
    await rows(page).first().waitFor();
    await loadAll(page);
    const all = await listed(page);
    for (const { shown } of HOSTILE) assert.ok(all.includes(shown), `${shown} is listed`);
    assert.equal(await page.locator('main img, main script, main iframe').count(), 0);
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });

  for (const { key, shown } of HOSTILE) {
    await test(`keys: ${JSON.stringify(shown)} opens, shows its value as text, and can be deleted`, async () => {
      const client = await server.client();
      const page = await browser.open(`${server.url}/keys?min_size=${Buffer.byteLength(HOSTILE_VALUE)}`);
      await rows(page).first().waitFor();
      await loadAll(page);
      await page.locator('.keys a').filter({ hasText: shown }).first().click();
      await showsText(page.locator('.key-panel h2'), shown);
      await showsText(page.locator('.value pre'), HOSTILE_VALUE.replace('\u202e', '\\u{202e}'));
      assert.equal(await page.locator('.key-panel img, .key-panel script, pre b').count(), 0);
      await page.reload();
      await showsText(page.locator('.key-panel h2'), shown);
      await page.getByRole('button', { name: 'Delete…' }).click();
      await page.getByRole('button', { name: 'Delete', exact: true }).click();
      await page.locator('.key-panel').waitFor({ state: 'detached' });
      assert.equal(await client.get(key), null);
      assert.deepEqual(page.complaints, []);
      client.end();
      await page.context().close();
    });
  }
}

export async function keysTests(browser, server) {
  await fillKeys(server);
  await browsingTests(browser, server);
  await valueTests(browser, server);
  await deletionTests(browser, server);
  await hostileTests(browser, server);
}
