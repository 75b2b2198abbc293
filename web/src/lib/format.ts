/* Figures in human units. Each has a short form for reading and an exact one for the title. */

const NBSP = '\u202f'; /* narrow, no break */
export const NO_REQUESTS = 'no requests yet';

export interface Quantity {
  short: string;
  exact: string;
}

export type Formatter = (value: number) => Quantity;

function digits(value: number, significant = 3): string {
  const size = Math.abs(value);
  const whole = size === 0 ? 1 : Math.floor(Math.log10(size)) + 1;
  const decimals = Math.max(0, Math.min(2, significant - Math.max(1, whole)));
  return value.toLocaleString('en-GB', { minimumFractionDigits: 0, maximumFractionDigits: decimals });
}

/* The largest unit whose figure is at least 1 once rounded, so that 999,999 is 1 M and not 1,000 k. */
function scaled(value: number, base: number, units: readonly string[]): string {
  let step = 0;
  let figure = value;
  while (step < units.length - 1 && Math.abs(figure) >= base - base / 2000) {
    figure /= base;
    step++;
  }
  const unit = units[step];
  return unit ? digits(figure) + NBSP + unit : digits(figure);
}

function exactNumber(value: number): string {
  return value.toLocaleString('en-GB', { maximumFractionDigits: 3 });
}

const COUNT_UNITS = ['', 'k', 'M', 'G', 'T'] as const;

/* Up to four digits a whole number is quicker read as it is: 1,024 connections, not 1.02 k. */
export function count(value: number): Quantity {
  if (Number.isInteger(value) && Math.abs(value) < 10000) return { short: exactNumber(value), exact: exactNumber(value) };
  return { short: scaled(value, 1000, COUNT_UNITS), exact: exactNumber(value) };
}

export function rate(value: number): Quantity {
  return { short: scaled(value, 1000, COUNT_UNITS) + '/s', exact: exactNumber(value) + ' a second' };
}

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

export function bytes(value: number): Quantity {
  return { short: scaled(value, 1024, BYTE_UNITS), exact: exactNumber(Math.round(value)) + ' bytes' };
}

export function byteRate(value: number): Quantity {
  return { short: bytes(value).short + '/s', exact: exactNumber(Math.round(value)) + ' bytes a second' };
}

/* Only a ratio that is exactly 1 reads 100 %, only 0 reads 0 %: the last misses are what one looks for. */
export function ratio(value: number): Quantity {
  const percent = value * 100;
  let text = percent.toFixed(1);
  for (let places = 2; places <= 4 && isMisleading(text, percent); places++) text = percent.toFixed(places);
  if (text === '100.0' || text === '0.0') text = text.slice(0, -2);
  return { short: text + NBSP + '%', exact: value.toFixed(6) };
}

function isMisleading(text: string, percent: number): boolean {
  const shown = Number(text);
  return (shown === 100 && percent < 100) || (shown === 0 && percent > 0);
}

export function latency(seconds: number): Quantity {
  const exact = exactNumber(seconds * 1e6) + ' µs';
  if (seconds < 1e-6) return { short: digits(seconds * 1e9) + NBSP + 'ns', exact };
  if (seconds < 0.9995e-3) return { short: digits(seconds * 1e6) + NBSP + 'µs', exact };
  if (seconds < 0.9995) return { short: digits(seconds * 1e3) + NBSP + 'ms', exact };
  return { short: digits(seconds) + NBSP + 's', exact };
}

const SPANS: readonly (readonly [number, string])[] = [
  [86400, 'd'],
  [3600, 'h'],
  [60, 'min'],
  [1, 's'],
];

export function duration(seconds: number): Quantity {
  const whole = Math.max(0, Math.floor(seconds));
  const exact = exactNumber(whole) + ' s';
  const at = SPANS.findIndex(([size]) => whole >= size);
  if (at < 0) return { short: '0' + NBSP + 's', exact };
  const parts: string[] = [];
  let rest = whole;
  for (const [size, unit] of SPANS.slice(at, at + 2)) {
    const figure = Math.floor(rest / size);
    rest -= figure * size;
    if (figure > 0) parts.push(figure + NBSP + unit);
  }
  return { short: parts.join(' '), exact };
}

export function clockTime(unix: number, withSeconds: boolean): string {
  const time = new Date(unix * 1000);
  const two = (n: number) => String(n).padStart(2, '0');
  const minutes = two(time.getHours()) + ':' + two(time.getMinutes());
  return withSeconds ? minutes + ':' + two(time.getSeconds()) : minutes;
}

export function dayTime(unix: number): string {
  const time = new Date(unix * 1000);
  const day = time.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
  return day + ' ' + clockTime(unix, false);
}

export function plural(n: number, one: string, many = one + 's'): string {
  return `${count(n).short} ${n === 1 ? one : many}`;
}
