/* A value as text, as JSON, or as bytes. It is fetched as hex, a stretch at a time: bytes come as they are. */

import { useEffect, useMemo, useState } from 'preact/hooks';
import { explain, keyPath, request } from '../lib/api';
import { binaryRuns, fromHex, hexDump, utf8, visibleRuns } from '../lib/bytes';
import * as format from '../lib/format';
import { isJson, prettyJson } from '../lib/pretty-json';
import type { KeyInfo, KeyValue } from '../lib/types';
import { Choice } from '../ui/choice';
import { CurlButton } from '../ui/curl';
import { Runs } from '../ui/key-text';
import { Notice } from '../ui/notice';

const STRETCH = 16384;

type View = 'text' | 'json' | 'hex';

interface Loaded {
  data: Uint8Array;
  total: number;
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a);
  out.set(b, a.length);
  return out;
}

/* A stretch may end within a character: that is not yet a reason to call the value binary. */
function decode(data: Uint8Array, whole: boolean): string | null {
  for (let cut = 0; cut <= (whole ? 0 : 3); cut++) {
    const text = utf8(data.subarray(0, data.length - cut));
    if (text !== null) return text;
  }
  return null;
}

function Content({ data, view, text }: { data: Uint8Array; view: View; text: string | null }) {
  if (data.length === 0) return <p class="caption">The value is empty.</p>;
  if (view === 'hex') return <>{hexDump(data)}</>;
  if (view === 'json' && text !== null) return <Runs runs={visibleRuns(prettyJson(text), '\n')} />;
  return <Runs runs={text === null ? binaryRuns(data) : visibleRuns(text, '\n\t')} />;
}

function useValue(name: Pick<KeyInfo, 'key' | 'key_b64'>, version: string) {
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  const [failure, setFailure] = useState('');
  const load = async (held: Uint8Array) => {
    try {
      const path = keyPath(name, '/value', { as: 'hex', offset: held.length, length: STRETCH });
      const value = await request<KeyValue>('GET', path);
      setLoaded({ data: join(held, fromHex(value.value)), total: value.size });
      setFailure('');
    } catch (error) {
      setFailure(explain(error));
    }
  };
  useEffect(() => void load(new Uint8Array()), [name.key_b64, version]);
  return { loaded, failure, load };
}

export function ValueViewer({ name, version }: { name: Pick<KeyInfo, 'key' | 'key_b64'>; version: string }) {
  const { loaded, failure, load } = useValue(name, version);
  const [chosen, setChosen] = useState<View | null>(null);
  const complete = loaded !== null && loaded.data.length >= loaded.total;
  const text = useMemo(() => (loaded ? decode(loaded.data, complete) : null), [loaded]);
  const json = useMemo(() => text !== null && complete && /^\s*[[{"]/.test(text) && isJson(text), [text]);
  const view: View = chosen ?? (text === null ? 'hex' : json ? 'json' : 'text');

  const options: { value: View; content: string }[] = [
    { value: 'text', content: 'text' },
    ...(json ? [{ value: 'json' as const, content: 'JSON' }] : []),
    { value: 'hex', content: 'hex' },
  ];
  return (
    <div class="value">
      <div class="value-head">
        <h3>Value</h3>
        {loaded && <span class="caption">{format.bytes(loaded.total).short}</span>}
        <div class="spacer" />
        <Choice label="Show the value as" options={options} value={view} onChange={setChosen} />
      </div>
      {failure && <Notice>{failure}</Notice>}
      {loaded && (
        <pre tabIndex={0} role="region" aria-label="Value">
          <Content data={loaded.data} view={view} text={text} />
        </pre>
      )}
      <div class="buttons">
        {loaded && !complete && (
          <button type="button" onClick={() => void load(loaded.data)}>
            Load more of {format.bytes(loaded.total).short}
          </button>
        )}
        <a class="button quiet" href={keyPath(name, '/value', { as: 'raw' })} download>
          Download
        </a>
        <CurlButton method="GET" path={keyPath(name, '/value', { as: 'raw' })} />
      </div>
    </div>
  );
}
