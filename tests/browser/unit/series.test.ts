import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeHistory } from '../../../web/src/lib/series';
import type { History } from '../../../web/src/lib/types';

const history = (step_seconds: number, times: number[], a: (number | null)[]): History => ({ step_seconds, times, series: { a } });

test('new points follow, the last one held is overwritten, old ones leave', () => {
  const held = history(1, [10, 11, 12], [1, 2, 3]);
  const merged = mergeHistory(held, history(1, [12, 13], [30, 4]), 11);
  assert.deepEqual(merged, history(1, [11, 12, 13], [2, 30, 4]));
});

test('an answer without news keeps what is held', () => {
  assert.deepEqual(mergeHistory(history(1, [10, 11], [1, 2]), history(1, [], []), 11), history(1, [11], [2]));
});

test('another step replaces all', () => {
  assert.deepEqual(mergeHistory(history(1, [10, 11], [1, 2]), history(10, [10, 20], [5, 6]), 0), history(10, [10, 20], [5, 6]));
});

test('gaps stay gaps', () => {
  assert.deepEqual(mergeHistory(null, history(1, [10, 11], [null, 2]), 0), history(1, [10, 11], [null, 2]));
});
