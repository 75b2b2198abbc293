/* Browsing by cursor: pages are appended, a key that a growing table shows twice is kept once. */

import { apiPath, request } from './api';
import type { KeyInfo, KeyPage } from './types';

export interface KeyFilter {
  prefix: string;
  match: string;
  min_size: string;
  max_ttl: string;
  min_idle: string;
  fetched: string;
}

export const FILTER_NAMES = ['prefix', 'match', 'min_size', 'max_ttl', 'min_idle', 'fetched'] as const;

export interface Listing {
  items: KeyInfo[];
  cursor: string | null;
  complete: boolean;
  scanned: number;
}

export const EMPTY_LISTING: Listing = { items: [], cursor: null, complete: false, scanned: 0 };

const PAGE_SIZE = 100;
/* A page may be empty with a cursor: so many are asked for before the reader decides. */
const PAGES_AT_ONCE = 50;

export function readFilter(query: URLSearchParams): KeyFilter {
  const read = (name: keyof KeyFilter) => query.get(name) ?? '';
  return Object.fromEntries(FILTER_NAMES.map((name) => [name, read(name)])) as unknown as KeyFilter;
}

export function filterPath(filter: KeyFilter, cursor: string | null = null): string {
  return apiPath('/keys', { ...filter, limit: PAGE_SIZE, cursor });
}

function append(held: Listing, page: KeyPage): Listing {
  const known = new Set(held.items.map((item) => item.key_b64));
  const fresh = page.items.filter((item) => !known.has(item.key_b64) && known.add(item.key_b64));
  return {
    items: [...held.items, ...fresh],
    cursor: page.next_cursor,
    complete: page.next_cursor === null,
    scanned: held.scanned + page.scanned,
  };
}

/* Goes on from `held` until a page's worth of new keys is there, or the end. */
export async function loadMore(filter: KeyFilter, held: Listing): Promise<Listing> {
  let listing = held;
  const wanted = held.items.length + PAGE_SIZE;
  for (let i = 0; i < PAGES_AT_ONCE && listing.items.length < wanted; i++) {
    listing = append(listing, await request<KeyPage>('GET', filterPath(filter, listing.cursor)));
    if (listing.complete) break;
  }
  return listing;
}
