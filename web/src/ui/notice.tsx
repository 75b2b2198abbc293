/* Something went wrong, in plain words. */

import type { ComponentChildren } from 'preact';

export function Notice({ children }: { children: ComponentChildren }) {
  return (
    <p class="notice" role="alert">
      {children}
    </p>
  );
}
