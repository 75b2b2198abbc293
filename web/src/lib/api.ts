/* The one door to /api/v1: timeouts, problem+json and the state of the line to the server. */

import { toBase64Url } from './bytes';
import type { Method } from './curl';
import { Store } from './store';
import type { KeyInfo, Problem } from './types';

const TIMEOUT_MS = 5000;

/* The server answered, and said no. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(problem.detail || problem.title);
  }
}

/* No answer at all: stopped, unreachable, or too slow. */
export class LineError extends Error {}

export interface Line {
  up: boolean;
  /* When the last answer came, and when the first one failed to come (ms since 1970). */
  answeredAt: number;
  lostAt: number;
}

export const line = new Store<Line>({ up: true, answeredAt: 0, lostAt: 0 });

function noteAnswer(): void {
  line.set({ up: true, answeredAt: Date.now(), lostAt: 0 });
}

function noteSilence(): void {
  const { answeredAt, up, lostAt } = line.get();
  line.set({ up: false, answeredAt, lostAt: up ? Date.now() : lostAt });
}

async function readProblem(response: Response): Promise<Problem> {
  const fallback = { title: response.statusText || `HTTP ${response.status}`, status: response.status };
  if (!response.headers.get('Content-Type')?.includes('json')) return fallback;
  const body = (await response.json().catch(() => null)) as Partial<Problem> | null;
  return { ...fallback, ...body };
}

async function send(method: Method, path: string, body: unknown, headers: Record<string, string>): Promise<Response> {
  const init: RequestInit = { method, headers, cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) };
  if (method !== 'GET') headers['Content-Type'] = 'application/json';
  if (body !== undefined) init.body = JSON.stringify(body);
  try {
    return await fetch(path, init);
  } catch (error) {
    noteSilence();
    throw new LineError(error instanceof Error ? error.message : String(error));
  }
}

export async function request<T>(
  method: Method,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<T> {
  const response = await send(method, path, body, headers);
  noteAnswer();
  if (!response.ok) throw new ApiError(response.status, await readProblem(response));
  if (response.status === 204) return undefined as T;
  try {
    return (await response.json()) as T;
  } catch (error) {
    noteSilence();
    throw new LineError(error instanceof Error ? error.message : String(error));
  }
}

export type Query = Record<string, string | number | null | undefined>;

export function apiPath(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '') search.set(name, String(value));
  }
  const text = search.toString();
  return '/api/v1' + path + (text ? '?' + text : '');
}

/* Plain keys stay readable in the path; all others, and those a URL parser would fold (`..`), go as base64. */
export function keyPath(key: Pick<KeyInfo, 'key' | 'key_b64'>, tail = '', query: Query = {}): string {
  const plain = key.key !== null && /^[\w:~.-]+$/.test(key.key) && /[^.]/.test(key.key);
  if (plain) return apiPath(`/keys/${key.key}${tail}`, query);
  return apiPath(`/keys/${toBase64Url(key.key_b64)}${tail}`, { enc: 'b64url', ...query });
}

/* What went wrong, in words for the one who sees it. */
export function explain(error: unknown): string {
  if (error instanceof LineError) return 'The server did not answer. It may be stopped, or the way to it is cut.';
  if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error);
  const fields = (error.problem.errors ?? []).map((e) => `${e.field}: ${e.detail}`);
  return fields.length > 0 ? `${error.problem.title}. ${fields.join('; ')}` : error.message;
}
