/* The admin API's answers, as /api/v1 documents them. */

export const WINDOWS = ['10s', '1m', '5m', '1h', 'total'] as const;
export type WindowName = (typeof WINDOWS)[number];

export interface Stats {
  window: WindowName;
  measured_seconds: number;
  time: string;
  uptime_seconds: number;
  version: string;
  hit_ratio: number | null;
  hits: number;
  misses: number;
  hit_ratios: Record<WindowName, number | null>;
  miss_reasons: Record<'never_seen' | 'expired' | 'evicted' | 'deleted' | 'flushed', number>;
  operations: Record<
    'total' | 'per_second' | 'get_per_second' | 'set_per_second' | 'delete_per_second' | 'other_per_second',
    number
  >;
  latency_seconds: { count: number } & Record<'p50' | 'p90' | 'p99' | 'p999' | 'max', number | null>;
  memory: Record<
    | 'limit_bytes'
    | 'used_bytes'
    | 'segments_bytes'
    | 'index_bytes'
    | 'staging_bytes'
    | 'items_bytes'
    | 'free_bytes'
    | 'rss_bytes'
    | 'observability_bytes',
    number
  >;
  items: {
    current: number;
    stored: number;
    stored_per_second: number;
    removed: Record<'evicted' | 'expired' | 'deleted' | 'replaced' | 'flushed', number>;
  };
  evictions_per_second: number;
  expiries_per_second: number;
  connections: { current: number; max: number; opened: number; rejected: number; accepting: boolean };
  network: { read_bytes_per_second: number; written_bytes_per_second: number };
  cpu: { user_seconds: number; system_seconds: number; utilization: number | null };
}

export interface History {
  step_seconds: number;
  times: number[];
  series: Record<string, (number | null)[]>;
}

export interface KeyInfo {
  key: string | null;
  key_b64: string;
  size: number;
  flags: number;
  cas: string;
  expires_in_seconds: number | null;
  idle_seconds: number;
  fetched: boolean;
  class: number;
}

export interface KeyPage {
  items: KeyInfo[];
  next_cursor: string | null;
  scanned: number;
  complete: boolean;
  elapsed_ms: number;
}

export interface KeyValue {
  size: number;
  offset: number;
  length: number;
  complete: boolean;
  encoding: 'utf-8' | 'base64' | 'hex';
  value: string;
}

export interface Setting {
  name: string;
  letter: string | null;
  value: string;
  default: string;
  unit: string | null;
  runtime: boolean;
  group: string;
  help: string;
}

export interface Connection {
  id: number;
  peer: string;
  listener: string;
  worker: number;
  state: string;
  age_seconds: number;
  idle_seconds: number;
  requests: number;
  read_bytes: number;
  written_bytes: number;
  pending_bytes: number;
  memory_bytes: number;
}

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
  total: number;
}

export interface Problem {
  title: string;
  status: number;
  detail?: string;
  errors?: { field: string; detail: string }[];
}
