/* What a screen reader is told, politely and at most every five seconds: the latest message wins. */

import { Store, useStore } from '../lib/store';

const REST_MS = 5000;

const message = new Store('');
let last = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

export function announce(text: string): void {
  clearTimeout(timer);
  const wait = Math.max(0, last + REST_MS - Date.now());
  timer = setTimeout(() => {
    last = Date.now();
    message.set(text);
  }, wait);
}

export function LiveRegion() {
  return (
    <div class="unseen" role="status" aria-live="polite">
      {useStore(message)}
    </div>
  );
}
