/* What the Overview shows: the figures of a window and the series of a range, kept fresh by one loop. */

import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, apiPath, explain, line, request } from '../lib/api';
import { usePoll } from '../lib/poll';
import { loadHistory, type Range } from '../lib/series';
import type { History, Stats, WindowName } from '../lib/types';

export const SERIES = [
  'hit_ratio',
  'operations',
  'gets',
  'sets',
  'latency_p50',
  'latency_p99',
  'latency_p999',
  'memory_used',
  'rss',
  'items',
  'evictions',
  'expiries',
  'connections',
  'read_bytes',
  'written_bytes',
  'cpu',
] as const;
export type SeriesName = (typeof SERIES)[number];

export interface OverviewData {
  stats: Stats | null;
  history: History | null;
  /* The server's clock at the last answer. */
  now: number;
  failure: string;
}

export function useOverview(window: WindowName, range: Range): OverviewData {
  const [data, setData] = useState<OverviewData>({ stats: null, history: null, now: 0, failure: '' });
  const held = useRef<History | null>(null);

  useEffect(() => {
    /* After a silence the server may be another process: what it held before is asked for anew. */
    return line.watch(({ up }) => {
      if (!up) held.current = null;
    });
  }, []);

  usePoll(async () => {
    try {
      const stats = await request<Stats>('GET', apiPath('/stats', { window }));
      const now = Math.floor(Date.parse(stats.time) / 1000);
      held.current = await loadHistory(held.current, SERIES, range, now);
      setData({ stats, history: held.current, now, failure: '' });
    } catch (error) {
      if (error instanceof ApiError) setData((old) => ({ ...old, failure: explain(error) }));
    }
  }, [window, range]);

  useEffect(() => {
    held.current = null;
  }, [range]);

  return data;
}
