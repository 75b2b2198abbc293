/* The state of the line: how old the figures are, and a plain word when they no longer come. */

import { useEffect, useState } from 'preact/hooks';
import { line } from '../lib/api';
import { clockTime, duration } from '../lib/format';
import { paused } from '../lib/poll';
import { useStore } from '../lib/store';
import { announce } from './announce';

/* Younger than this is live: a tick, an answer and some slack. */
const LIVE_MS = 4000;

function useClock(): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

function ageText(age: number): string {
  return age < 1500 ? 'updated just now' : `updated ${duration(age / 1000).short} ago`;
}

export function Freshness() {
  const now = useClock();
  const { up, answeredAt } = useStore(line);
  const stopped = useStore(paused);
  const age = Math.max(0, now - answeredAt);
  const state = !up ? 'lost' : stopped ? 'paused' : age > LIVE_MS ? 'old' : 'live';
  const word = { lost: 'disconnected', paused: 'paused', old: 'waiting', live: 'live' }[state];
  return (
    <span class={`freshness ${state}`} data-state={state}>
      <b>{word}</b> <span class="age">{answeredAt > 0 ? ageText(age) : ''}</span>
    </span>
  );
}

export function PauseButton() {
  const stopped = useStore(paused);
  return (
    <button type="button" class="quiet" aria-pressed={stopped} onClick={() => paused.set(!stopped)}>
      {stopped ? 'Resume updates' : 'Pause updates'}
    </button>
  );
}

export function LostBanner() {
  const { up, answeredAt, lostAt } = useStore(line);
  const [wasLost, setWasLost] = useState(false);
  useEffect(() => {
    if (!up) announce('Disconnected: the server does not answer');
    else if (wasLost) announce('Connected again');
    setWasLost(!up);
  }, [up]);
  if (up) return null;
  return (
    <div class="banner" data-banner="disconnected">
      <strong>Disconnected.</strong> The server has not answered since {clockTime((answeredAt || lostAt) / 1000, true)}.{' '}
      {answeredAt > 0 && 'What you see is the last it said. '}
      This page tries again by itself.
    </div>
  );
}
