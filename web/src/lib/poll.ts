/* One loop per page: a tick, a rest, a tick. It stops when the page is hidden or the reader pauses it, and it
 * is what brings the page back after the server was away. */

import { useEffect } from 'preact/hooks';
import { Store } from './store';

export const paused = new Store(false);

export const TICK_MS = 1000;

export function usePoll(tick: () => Promise<void>, inputs: readonly unknown[], restMs = TICK_MS): void {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let running = false;
    let ended = false;

    const schedule = () => {
      clearTimeout(timer);
      if (!ended && !document.hidden && !paused.get()) timer = setTimeout(run, restMs);
    };
    const run = async () => {
      if (running) return;
      running = true;
      await tick().catch(() => undefined); /* the tick has shown what it had to */
      running = false;
      schedule();
    };
    const resume = () => {
      if (document.hidden || paused.get()) clearTimeout(timer);
      else void run();
    };

    void run();
    document.addEventListener('visibilitychange', resume);
    const unwatch = paused.watch(resume);
    return () => {
      ended = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', resume);
      unwatch();
    };
  }, inputs);
}
