/* Paths are pages, the query is their state: every view is a link that can be sent to a colleague. */

import { Store, useStore } from './store';

export interface Route {
  path: string;
  query: URLSearchParams;
}

function readLocation(): Route {
  const path = location.pathname.replace(/\/+$/, '') || '/';
  return { path, query: new URLSearchParams(location.search) };
}

export const route = new Store<Route>(readLocation());

export function useRoute(): Route {
  return useStore(route);
}

export function href(path: string, query: Record<string, string | null | undefined> = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value) search.set(name, value);
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

export function navigate(target: string, replace = false): void {
  if (replace) history.replaceState(null, '', target);
  else history.pushState(null, '', target);
  route.set(readLocation());
}

/* Changes some of the query; null takes a name out. */
export function setQuery(changes: Record<string, string | null>, replace = false): void {
  const { path, query } = route.get();
  const merged = { ...Object.fromEntries(query), ...changes };
  navigate(href(path, merged), replace);
}

function isPlainClick(event: MouseEvent): boolean {
  const modified = event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
  return event.button === 0 && !modified && !event.defaultPrevented;
}

function followInside(event: MouseEvent): void {
  const link = event.target instanceof Element ? event.target.closest('a[data-route]') : null;
  if (!(link instanceof HTMLAnchorElement) || !isPlainClick(event)) return;
  event.preventDefault();
  navigate(link.pathname + link.search);
}

export function startRouter(): void {
  addEventListener('popstate', () => route.set(readLocation()));
  document.addEventListener('click', followInside);
}
