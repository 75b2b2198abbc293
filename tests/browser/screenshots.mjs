/* A picture of every view, to be looked at. */

import { join } from 'node:path';
import { VIEWS } from './access.mjs';
import { eventually } from './lib/browser.mjs';
import { startTraffic } from './lib/traffic.mjs';

const SIZES = [320, 768, 1440];

const BUSY_POINTS = 15;

async function takeOverview(browser, server, file) {
  for (const colorScheme of ['light', 'dark']) {
    const page = await browser.open(`${server.url}/`, { colorScheme });
    await page.locator('[data-state="live"]').waitFor();
    await eventually('a graph', () => page.locator('[data-exhibit="items"] [data-drawn="yes"]').count());
    await page.screenshot({ path: `${file}-${colorScheme}.png`, fullPage: true });
    await page.context().close();
  }
}

/* The same page before the first request, and with a cache that is full and evicting. */
export async function takeEmptyAndBusy(browser, server, folder) {
  await takeOverview(browser, server, join(folder, 'overview-empty'));
  const stopTraffic = await startTraffic(server);
  try {
    await eventually('some seconds of evictions', async () => {
      const { series } = await server.json('/api/v1/history?metric=evictions');
      return series.evictions.filter((value) => value > 0).length >= BUSY_POINTS;
    });
    await takeOverview(browser, server, join(folder, 'overview-busy'));
  } finally {
    await stopTraffic();
  }
}

export async function takeScreenshots(browser, server, folder) {
  for (const colorScheme of ['light', 'dark']) {
    for (const width of SIZES) {
      const page = await browser.open(`${server.url}/`, { colorScheme, viewport: { width, height: 900 } });
      for (const view of VIEWS) {
        await page.goto(server.url + view.path);
        await page.locator(view.ready).first().waitFor();
        if (view.path === '/') await eventually('a graph', () => page.locator('[data-exhibit="items"] [data-drawn="yes"]').count());
        await page.screenshot({ path: join(folder, `${view.name}-${width}-${colorScheme}.png`), fullPage: true });
      }
      await page.context().close();
    }
  }
}
