/* What can be done to a running cache, and that it takes more than a slip. */

import assert from 'node:assert/strict';
import { eventually, showsText } from './lib/browser.mjs';
import { test } from './lib/report.mjs';

export async function actionsTests(browser, server) {
  await test('actions: a setting is changed while the cache runs', async () => {
    const client = await server.client();
    const page = await browser.open(`${server.url}/actions`);
    const field = page.getByLabel(/^memory-limit/);
    await field.fill('128');
    await page.getByRole('button', { name: 'Change settings' }).click();
    await page.getByText('Settings changed.').waitFor();
    assert.equal((await client.stats()).limit_maxbytes, String(128 * 1024 * 1024));
    assert.equal(await field.inputValue(), '128');
    assert.deepEqual(page.complaints, []);
    client.end();
    await page.context().close();
  });

  await test('actions: a setting out of range is refused beside its field', async () => {
    const page = await browser.open(`${server.url}/actions`);
    const field = page.getByLabel(/^memory-limit/);
    await field.fill('-3');
    await page.getByRole('button', { name: 'Change settings' }).click();
    await page.locator('.setting .notice').waitFor();
    assert.equal(await field.getAttribute('aria-invalid'), 'true');
    assert.deepEqual(page.complaints.filter((text) => !/status of 422/.test(text)), []);
    await page.context().close();
  });

  await test('actions: statistics are reset', async () => {
    const client = await server.client();
    await client.get('absent');
    const page = await browser.open(`${server.url}/actions`);
    await page.getByRole('button', { name: 'Reset statistics' }).click();
    await page.getByText('Statistics start again from now.').waitFor();
    assert.equal((await client.stats()).cmd_get, '0');
    assert.deepEqual(page.complaints, []);
    client.end();
    await page.context().close();
  });

  await test('actions: flush wants its name typed, then every item is gone', async () => {
    const client = await server.client();
    await client.set('flush:me', 'x');
    const page = await browser.open(`${server.url}/actions`);
    await page.getByRole('button', { name: 'Flush…' }).click();
    const go = page.getByRole('button', { name: 'Flush', exact: true });
    assert.ok(await go.isDisabled());
    await page.getByRole('textbox', { name: /Type flush_all/ }).fill('flush_al');
    assert.ok(await go.isDisabled());
    assert.equal((await client.get('flush:me')).toString(), 'x');
    await page.getByRole('textbox', { name: /Type flush_all/ }).fill('flush_all');
    await go.click();
    await page.getByText(/^Flushed: .* gone\.$/).first().waitFor();
    assert.equal(await client.get('flush:me'), null);
    await eventually('an empty cache', async () => (await client.stats()).curr_items === '0');
    assert.deepEqual(page.complaints, []);
    client.end();
    await page.context().close();
  });

  await test('actions: the flush command copied is the one that works', async () => {
    const page = await browser.open(`${server.url}/actions`);
    await page.locator('[aria-labelledby="flush"]').getByRole('button', { name: 'Copy as curl' }).click();
    await page.getByRole('button', { name: 'Copied' }).waitFor();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    const head = `curl -X POST -H 'Content-Type: application/json' -d`;
    assert.equal(copied, `${head} '{"confirm":"flush_all","delay_seconds":0}' ${server.url}/api/v1/flush`);
    await page.context().close();
  });

  await test('connections: a client is listed and can be seen out', async () => {
    const client = await server.client();
    await client.ask('version\r\n');
    const page = await browser.open(`${server.url}/connections?sort=idle`);
    await page.locator('.connections tbody tr').first().waitFor();
    await showsText(page.locator('.list-foot .caption'), '1 of 1 shown.');
    await page.getByRole('button', { name: /^Close tcp:/ }).click();
    await page.getByRole('button', { name: 'Close it' }).click();
    await client.gone();
    await showsText(page.locator('.list-foot .caption'), 'No client is connected.');
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });
}
