/* Light, dark, or as the system says. Set before the first paint: the script is loaded in the head. */

import { Store } from './store';

export const THEMES = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const STORAGE_NAME = 'vitrine-theme';

function readTheme(): Theme {
  try {
    const saved = localStorage.getItem(STORAGE_NAME);
    return THEMES.find((name) => name === saved) ?? 'auto';
  } catch {
    return 'auto'; /* storage is switched off */
  }
}

export const theme = new Store<Theme>(readTheme());

/* Rises when colours change, whoever changed them: charts are painted anew. */
export const paintEpoch = new Store(0);

function applyTheme(value: Theme): void {
  if (value === 'auto') document.documentElement.removeAttribute('data-theme');
  else document.documentElement.setAttribute('data-theme', value);
  paintEpoch.set(paintEpoch.get() + 1);
}

export function chooseTheme(value: Theme): void {
  theme.set(value);
  try {
    localStorage.setItem(STORAGE_NAME, value);
  } catch {
    /* it holds for this page only */
  }
}

export function startTheme(): void {
  applyTheme(theme.get());
  theme.watch(applyTheme);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => applyTheme(theme.get()));
}
