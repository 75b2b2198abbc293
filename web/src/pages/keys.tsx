/* What is in the cache: browse, look closer, take one out. */

import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { apiPath, explain, keyPath, request } from '../lib/api';
import { utf8, fromBase64 } from '../lib/bytes';
import * as format from '../lib/format';
import { EMPTY_LISTING, FILTER_NAMES, filterPath, loadMore, readFilter, type KeyFilter, type Listing } from '../lib/keys';
import { usePoll } from '../lib/poll';
import { href, setQuery, useRoute } from '../lib/router';
import type { KeyInfo, Stats } from '../lib/types';
import { announce } from '../ui/announce';
import { CurlButton } from '../ui/curl';
import { Figure } from '../ui/figure';
import { KeyText } from '../ui/key-text';
import { Notice } from '../ui/notice';
import { Term } from '../ui/term';
import { KeyPanel } from './key-panel';

type SelectedKey = Pick<KeyInfo, 'key' | 'key_b64'>;

function toBase64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

/* A key in the address is text where it is text, base64 where it is not. */
function readSelected(query: URLSearchParams): SelectedKey | null {
  const key = query.get('key');
  if (key) return { key, key_b64: toBase64(key) };
  const key_b64 = query.get('key_b64');
  if (!key_b64) return null;
  try {
    return { key: utf8(fromBase64(key_b64)), key_b64 };
  } catch {
    return null;
  }
}

function keyLink(filter: KeyFilter, key: SelectedKey): string {
  return href('/keys', { ...filter, ...(key.key === null ? { key_b64: key.key_b64 } : { key: key.key }) });
}

const FIELDS: readonly { name: keyof KeyFilter; label: string; help: string; numeric?: boolean }[] = [
  { name: 'prefix', label: 'Prefix', help: 'Only keys that begin with this text.' },
  { name: 'match', label: 'Glob', help: 'Only keys of this pattern: * is any text, ? any one byte, \\* a plain asterisk.' },
  { name: 'min_size', label: 'Bytes at least', help: 'Only items of at least this many bytes.', numeric: true },
  { name: 'max_ttl', label: 'Expires within, s', help: 'Only items that expire within so many seconds.', numeric: true },
  { name: 'min_idle', label: 'Idle at least, s', help: 'Only items not read for at least so many seconds.', numeric: true },
];

function TextField({ field, value }: { field: (typeof FIELDS)[number]; value: string }) {
  return (
    <div class={field.numeric ? 'field small' : 'field'}>
      <label for={`filter-${field.name}`} title={field.help}>
        {field.label}
      </label>
      <input
        id={`filter-${field.name}`}
        name={field.name}
        type="text"
        inputMode={field.numeric ? 'numeric' : 'text'}
        pattern={field.numeric ? '[0-9]*' : undefined}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        defaultValue={value}
        key={value}
      />
    </div>
  );
}

function FilterForm({ filter, onAgain }: { filter: KeyFilter; onAgain: () => void }) {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const changes = Object.fromEntries(FILTER_NAMES.map((name) => [name, String(form.get(name) ?? '') || null]));
    const same = FILTER_NAMES.every((name) => (changes[name] ?? '') === filter[name]);
    if (same) onAgain();
    else setQuery({ ...changes, key: null, key_b64: null });
  };
  return (
    <form class="filters" role="search" aria-label="Keys" onSubmit={submit}>
      {FIELDS.map((field) => (
        <TextField key={field.name} field={field} value={filter[field.name]} />
      ))}
      <div class="field small">
        <label for="filter-fetched">Read</label>
        <select id="filter-fetched" name="fetched" defaultValue={filter.fetched} key={filter.fetched}>
          <option value="">all</option>
          <option value="1" selected={filter.fetched === '1'}>
            read since stored
          </option>
          <option value="0" selected={filter.fetched === '0'}>
            never read
          </option>
        </select>
      </div>
      <div class="buttons">
        <button type="submit" class="primary">
          Browse
        </button>
        <CurlButton method="GET" path={filterPath(filter)} />
      </div>
    </form>
  );
}

function KeyRow({ item, filter, selected }: { item: KeyInfo; filter: KeyFilter; selected: boolean }) {
  return (
    <tr class={selected ? 'selected' : ''}>
      <th scope="row">
        <a data-route data-key={item.key_b64} href={keyLink(filter, item)} aria-current={selected ? 'true' : undefined}>
          <KeyText {...item} />
        </a>
      </th>
      <td class="number">
        <Figure value={item.size} format={format.bytes} />
      </td>
      <td class="number">
        <Figure value={item.expires_in_seconds} format={format.duration} none="never" />
      </td>
      <td class="number wide-only">
        <Figure value={item.idle_seconds} format={format.duration} />
      </td>
      <td class="wide-only">{item.fetched ? 'yes' : 'no'}</td>
    </tr>
  );
}

function KeyTable({ listing, filter, selected }: { listing: Listing; filter: KeyFilter; selected: SelectedKey | null }) {
  return (
    <table class="keys">
      <caption class="unseen">Keys found</caption>
      <thead>
        <tr>
          <th scope="col">Key</th>
          <th scope="col" class="number">
            <Term name="Size">Bytes of the value.</Term>
          </th>
          <th scope="col" class="number">
            <Term name="Expires in">Time left to live. Never: it stays until it is evicted or deleted.</Term>
          </th>
          <th scope="col" class="number wide-only">
            <Term name="Idle">Time since it was last read or stored. Looking at it here does not count.</Term>
          </th>
          <th scope="col" class="wide-only">
            <Term name="Read">Whether any client read it since it was stored.</Term>
          </th>
        </tr>
      </thead>
      <tbody>
        {listing.items.map((item) => (
          <KeyRow key={item.key_b64} item={item} filter={filter} selected={item.key_b64 === selected?.key_b64} />
        ))}
      </tbody>
    </table>
  );
}

function listingText(listing: Listing): string {
  const found = format.plural(listing.items.length, 'key');
  if (listing.items.length === 0) return listing.complete ? 'No key matches.' : 'Nothing found so far.';
  return listing.complete ? `${found}: that is all.` : `${found} so far.`;
}

function useListing(filter: KeyFilter) {
  const [listing, setListing] = useState<Listing>(EMPTY_LISTING);
  const [busy, setBusy] = useState(true);
  const [failure, setFailure] = useState('');
  const turn = useRef(0);
  const filterText = JSON.stringify(filter);

  const load = useCallback(
    async (held: Listing) => {
      const mine = ++turn.current;
      setBusy(true);
      try {
        const next = await loadMore(filter, held);
        if (mine !== turn.current) return;
        setListing(next);
        setFailure('');
        announce(listingText(next));
      } catch (error) {
        if (mine === turn.current) setFailure(explain(error));
      }
      if (mine === turn.current) setBusy(false);
    },
    [filterText],
  );

  useEffect(() => {
    setListing(EMPTY_LISTING);
    void load(EMPTY_LISTING);
  }, [load]);

  const forget = (key_b64: string) =>
    setListing((old) => ({ ...old, items: old.items.filter((item) => item.key_b64 !== key_b64) }));
  return { listing, busy, failure, load, forget };
}

/* Back to where the reader came from: the key's row, or the top when it is gone. */
function focusRow(key_b64: string | undefined): void {
  requestAnimationFrame(() => {
    const row = key_b64 ? document.querySelector(`[data-key="${CSS.escape(key_b64)}"]`) : null;
    const target = row ?? document.querySelector('h1');
    if (target instanceof HTMLElement) target.focus();
  });
}

/* Keeps the freshness stamp honest, and tells how many items there are in all. */
function useItemCount(): number | null {
  const [items, setItems] = useState<number | null>(null);
  usePoll(async () => {
    const stats = await request<Stats>('GET', apiPath('/stats', { window: '10s' }));
    setItems(stats.items.current);
  }, [], 2000);
  return items;
}

export function Keys() {
  const { query } = useRoute();
  const filter = readFilter(query);
  const selected = readSelected(query);
  const { listing, busy, failure, load, forget } = useListing(filter);
  const itemCount = useItemCount();
  const closePanel = () => {
    setQuery({ key: null, key_b64: null });
    focusRow(selected?.key_b64);
  };

  return (
    <>
      <div class="page-head">
        <h1 tabIndex={-1}>Keys</h1>
        <p class="caption">
          <Figure value={itemCount} format={format.count} none="…" /> items in the cache. Looking does not count as reading.
        </p>
      </div>
      <FilterForm filter={filter} onAgain={() => void load(EMPTY_LISTING)} />
      {failure && <Notice>{failure}</Notice>}
      <div class={selected ? 'key-room with-panel' : 'key-room'}>
        <section class="key-list" aria-label="List of keys" aria-busy={busy}>
          {listing.items.length > 0 && <KeyTable listing={listing} filter={filter} selected={selected} />}
          <div class="list-foot">
            <p class="caption">{busy ? 'Looking…' : listingText(listing)}</p>
            {!listing.complete && !failure && (
              <button type="button" disabled={busy} onClick={() => void load(listing)}>
                Load more
              </button>
            )}
          </div>
        </section>
        {selected && (
          <KeyPanel
            key={selected.key_b64}
            name={selected}
            path={keyPath(selected)}
            onDeleted={() => {
              forget(selected.key_b64);
              closePanel();
            }}
            onClose={closePanel}
          />
        )}
      </div>
    </>
  );
}
