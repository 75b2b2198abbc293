/* The pages: a module and a row each. */

import type { ComponentType } from 'preact';
import { Actions } from './actions';
import { Connections } from './connections';
import { Keys } from './keys';
import { Overview } from './overview';

export interface PageRow {
  path: string;
  name: string;
  Page: ComponentType;
}

export const PAGES: readonly PageRow[] = [
  { path: '/', name: 'Overview', Page: Overview },
  { path: '/keys', name: 'Keys', Page: Keys },
  { path: '/connections', name: 'Connections', Page: Connections },
  { path: '/actions', name: 'Actions', Page: Actions },
];
