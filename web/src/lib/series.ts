/* What the charts draw: the server's history, loaded once and continued by what is new. */

import { apiPath, request } from './api';
import type { History } from './types';

/* What the server gives at once: 14 days at 5 min are 4,032. */
const POINTS_MAX = 4096;

export interface Range {
  name: string;
  label: string;
  seconds: number;
  step: 1 | 10 | 300;
}

export const RANGES: readonly Range[] = [
  { name: '5m', label: '5 min', seconds: 300, step: 1 },
  { name: '15m', label: '15 min', seconds: 900, step: 1 },
  { name: '1h', label: '1 h', seconds: 3600, step: 10 },
  { name: '6h', label: '6 h', seconds: 21600, step: 10 },
  { name: '1d', label: '1 day', seconds: 86400, step: 300 },
  { name: '14d', label: '14 days', seconds: 1209600, step: 300 },
];

/* Appends what is newer than the last time held, overwrites what is held, forgets what left the range. */
export function mergeHistory(held: History | null, fresh: History, from: number): History {
  const first = fresh.times[0];
  const names = Object.keys(fresh.series);
  const kept = held && held.step_seconds === fresh.step_seconds && first !== undefined ? held : null;
  if (!kept) return first === undefined && held ? trimHistory(held, from) : trimHistory(fresh, from);
  const end = kept.times.findIndex((time) => time >= first!);
  const head = end < 0 ? kept.times.length : end;
  const series: History['series'] = {};
  for (const name of names) series[name] = [...(kept.series[name] ?? []).slice(0, head), ...fresh.series[name]!];
  return trimHistory({ step_seconds: kept.step_seconds, times: [...kept.times.slice(0, head), ...fresh.times], series }, from);
}

function trimHistory(history: History, from: number): History {
  const found = history.times.findIndex((time) => time >= from);
  const start = found < 0 ? history.times.length : found;
  if (start === 0) return history;
  const series: History['series'] = {};
  for (const [name, values] of Object.entries(history.series)) series[name] = values.slice(start);
  return { step_seconds: history.step_seconds, times: history.times.slice(start), series };
}

/* Asks for the whole range when nothing is held, else for what came since. `now` is the server's clock. */
export async function loadHistory(held: History | null, names: readonly string[], range: Range, now: number): Promise<History> {
  const last = held?.times[held.times.length - 1];
  const oldest = now - range.seconds;
  const from = last !== undefined && last <= now ? Math.max(oldest, last - range.step) : oldest;
  const fresh = await request<History>(
    'GET',
    apiPath('/history', { metric: names.join(','), from, to: now, step: range.step, points: POINTS_MAX }),
  );
  return mergeHistory(from > oldest ? held : null, fresh, oldest);
}
