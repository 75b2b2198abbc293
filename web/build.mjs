/* Bundles the dashboard and writes it as one C file of precompressed bytes (admin/assets.h). The output depends
 * on the sources alone: no paths, no dates.
 *   node build.mjs OUTPUT.c        (from any folder; tools/build-web.sh is the way in) */

import { createHash } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const WEB = dirname(fileURLToPath(import.meta.url));
const BUDGET_BYTES = 150 * 1024;
const BYTES_A_LINE = 20;

async function bundle() {
  const result = await build({
    absWorkingDir: WEB,
    entryPoints: { app: 'src/main.tsx' },
    outdir: 'out',
    write: false,
    bundle: true,
    minify: true,
    format: 'iife',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    charset: 'ascii',
    logLevel: 'warning',
  });
  const find = (extension) => Buffer.from(result.outputFiles.find((file) => file.path.endsWith(extension)).contents);
  return { js: find('.js'), css: find('.css') };
}

function digest(data) {
  return createHash('sha256').update(data).digest('hex');
}

function asset(path, type, data, immutable) {
  return { path, type, data, immutable, etag: `"${digest(data).slice(0, 32)}"`, gzip: compress(data) };
}

/* Level 9, no name, time 0 and a fixed system byte: the same everywhere. */
function compress(data) {
  const gzip = gzipSync(data, { level: 9 });
  gzip.writeUInt32LE(0, 4);
  gzip[9] = 255;
  return gzip;
}

async function collect() {
  const { js, css } = await bundle();
  const jsPath = `/assets/app-${digest(js).slice(0, 12)}.js`;
  const cssPath = `/assets/app-${digest(css).slice(0, 12)}.css`;
  const page = readFileSync(join(WEB, 'index.html'), 'utf8').replace('{{js}}', jsPath).replace('{{css}}', cssPath);
  return [
    asset('/index.html', 'text/html; charset=utf-8', Buffer.from(page), false),
    asset(jsPath, 'text/javascript; charset=utf-8', js, true),
    asset(cssPath, 'text/css; charset=utf-8', css, true),
    asset('/assets/favicon.svg', 'image/svg+xml', readFileSync(join(WEB, 'favicon.svg')), false),
  ];
}

function checkBudget(assets) {
  const total = assets.reduce((sum, { gzip }) => sum + gzip.length, 0);
  if (total > BUDGET_BYTES) throw new Error(`${total} bytes compressed: over the budget of ${BUDGET_BYTES}`);
  return total;
}

function byteArray(name, data) {
  const lines = [];
  for (let at = 0; at < data.length; at += BYTES_A_LINE) lines.push('    ' + [...data.subarray(at, at + BYTES_A_LINE)].join(',') + ',');
  return `static const unsigned char ${name}[] = {\n${lines.join('\n')}\n};\n`;
}

/* The pages of the table: each is the one document at a path of its own, so that the server knows which exist. */
function pagePaths() {
  const table = readFileSync(join(WEB, 'src/pages/table.ts'), 'utf8');
  const paths = [...table.matchAll(/path: '(\/[a-z-]+)'/g)].map(([, path]) => path);
  if (paths.length === 0) throw new Error('no pages found in src/pages/table.ts');
  return paths;
}

function row({ path, type, data, etag, gzip, immutable }, i) {
  const text = (value) => JSON.stringify(value);
  const bytes = `data_${i}, ${data.length}, gzip_${i}, ${gzip.length}`;
  return `    {${text(path)}, ${text(type)}, ${text(etag)}, ${bytes}, ${immutable}},`;
}

function rows(assets) {
  return [...assets.map(row), ...pagePaths().map((path) => row({ ...assets[0], path }, 0))].join('\n');
}

function render(assets) {
  const arrays = assets.flatMap(({ data, gzip }, i) => [byteArray(`data_${i}`, data), byteArray(`gzip_${i}`, gzip)]);
  return [
    '/* The dashboard, made from web/ by tools/build-web.sh: do not edit. */',
    '#include "admin/assets.h"\n',
    ...arrays,
    `const struct admin_asset admin_assets[] = {\n${rows(assets)}\n};`,
    'const size_t admin_asset_count = sizeof admin_assets / sizeof admin_assets[0];\n',
  ].join('\n');
}

const output = process.argv[2];
if (!output) throw new Error('usage: node build.mjs OUTPUT.c');
const assets = await collect();
const total = checkBudget(assets);
const partial = `${output}.${process.pid}.tmp`;
writeFileSync(partial, render(assets));
renameSync(partial, output);
console.log(`dashboard: ${assets.length} files, ${total} bytes compressed (budget ${BUDGET_BYTES})`);
