import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as format from '../../../web/src/lib/format';

const plain = (quantity: format.Quantity) => quantity.short.replaceAll('\u202f', ' ');

test('counts round to three digits and step up a unit in time', () => {
  const cases: [number, string][] = [
    [0, '0'], [7, '7'], [0.5, '0.5'], [999, '999'], [1024, '1,024'], [9999, '9,999'], [10000, '10 k'], [52123.4, '52.1 k'],
    [999499, '999 k'], [999999, '1 M'], [1203344, '1.2 M'], [12e9, '12 G'],
  ];
  for (const [value, text] of cases) assert.equal(plain(format.count(value)), text);
  assert.equal(format.count(1234567).exact, '1,234,567');
});

test('bytes use binary units', () => {
  const cases: [number, string][] = [
    [0, '0 B'], [1023, '1,023 B'], [1000, '1,000 B'], [1024, '1 KiB'], [1536, '1.5 KiB'], [67108864, '64 MiB'], [1073741824, '1 GiB'],
  ];
  for (const [value, text] of cases) assert.equal(plain(format.bytes(value)), text);
  assert.equal(format.bytes(1536).exact, '1,536 bytes');
});

test('a ratio reads 0 % or 100 % only when it is', () => {
  const cases: [number, string][] = [
    [0, '0 %'], [1, '100 %'], [0.75, '75.0 %'], [0.9996, '99.96 %'], [0.99996, '99.996 %'], [0.0004, '0.04 %'], [0.93421, '93.4 %'],
  ];
  for (const [value, text] of cases) assert.equal(plain(format.ratio(value)), text);
});

test('latencies take the unit that fits', () => {
  const cases: [number, string][] = [
    [5e-7, '500 ns'], [4.2e-5, '42 µs'], [0.00024, '240 µs'], [0.0017, '1.7 ms'], [0.9999, '1 s'], [2.5, '2.5 s'],
  ];
  for (const [value, text] of cases) assert.equal(plain(format.latency(value)), text);
});

test('durations show their two largest parts', () => {
  const cases: [number, string][] = [
    [0, '0 s'], [0.4, '0 s'], [59, '59 s'], [60, '1 min'], [3661, '1 h 1 min'], [3605, '1 h'], [90000, '1 d 1 h'],
  ];
  for (const [value, text] of cases) assert.equal(plain(format.duration(value)), text);
});
