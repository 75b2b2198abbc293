/* A key as text, byte for byte: never markup, never able to turn the line around. */

import { binaryRuns, fromBase64, runsText, visibleRuns, type Run } from '../lib/bytes';
import type { KeyInfo } from '../lib/types';

type KeyName = Pick<KeyInfo, 'key' | 'key_b64'>;

function keyRuns(key: KeyName): Run[] {
  return key.key === null ? binaryRuns(fromBase64(key.key_b64)) : visibleRuns(key.key);
}

export function keyLabel(key: KeyName): string {
  return runsText(keyRuns(key));
}

export function Runs({ runs }: { runs: readonly Run[] }) {
  return (
    <>
      {runs.map((run, i) =>
        run.escaped ? (
          <span key={i} class="escaped" title={run.title}>
            {run.text}
          </span>
        ) : (
          run.text
        ),
      )}
    </>
  );
}

export function KeyText(props: KeyName) {
  return (
    <bdi class="key">
      <Runs runs={keyRuns(props)} />
    </bdi>
  );
}
