/* Headless Chromium that watches itself: whatever leaves the origin, breaks the policy or complains is kept. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const WAIT_MS = 30000;
const QUIET_MS = 2500; /* a page that updates itself asks each second */

export class Browser {
  static async start(...flags) {
    const self = new Browser();
    self.home = await mkdtemp(join(tmpdir(), 'vitrine-browser-'));
    self.browser = await chromium.launch({
      executablePath: EXECUTABLE,
      args: [...FLAGS, ...flags],
      env: { ...process.env, HOME: self.home },
    });
    return self;
  }

  async stop() {
    await this.browser.close();
    await rm(this.home, { recursive: true, force: true });
  }

  /* A page with a memory of its own; `complaints` holds what it should not have done. */
  async open(url, options = {}) {
    const context = await this.browser.newContext({
      viewport: { width: 1440, height: 900 },
      permissions: ['clipboard-read', 'clipboard-write'],
      ...options,
    });
    const page = await context.newPage();
    page.setDefaultTimeout(WAIT_MS);
    page.requests = [];
    page.complaints = [];
    watch(page, new URL(url).origin);
    await page.addInitScript(() => {
      addEventListener('securitypolicyviolation', (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
    });
    await page.goto(url);
    return page;
  }
}

function watch(page, origin) {
  page.on('request', (request) => {
    page.requests.push(request);
    if (new URL(request.url()).origin !== origin) page.complaints.push(`left the origin: ${request.url()}`);
  });
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) page.complaints.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => page.complaints.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => {
    page.complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
}

/* The text as a reader sees it, with plain spaces for the narrow ones. */
export async function textOf(locator) {
  return (await locator.innerText()).replace(/[\u202f\u00a0]/g, ' ').trim();
}

/* Waits until `probe` gives true; the page decides when, no clock does. */
export async function eventually(what, probe) {
  const end = Date.now() + WAIT_MS;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/* Waits until the page has asked nothing for a while; the number of requests it made until then. */
export async function stopsAsking(page) {
  for (const end = Date.now() + WAIT_MS; Date.now() < end; ) {
    const before = page.requests.length;
    await page.waitForTimeout(QUIET_MS);
    if (page.requests.length === before) return before;
  }
  throw new Error('the page goes on asking');
}

export async function showsText(locator, wanted) {
  let seen = '';
  await eventually(wanted, async () => (seen = (await locator.count()) > 0 ? await textOf(locator.first()) : '(absent)') === wanted).catch(() => {
    throw new Error(`shows "${seen}", not "${wanted}"`);
  });
}
