/* One key in the glass case: its placard, its value, and the way out. */

import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, explain, keyPath, request } from '../lib/api';
import * as format from '../lib/format';
import type { KeyInfo } from '../lib/types';
import { announce } from '../ui/announce';
import { CurlButton } from '../ui/curl';
import { ConfirmDialog } from '../ui/dialog';
import { Fact, TextFact } from '../ui/figure';
import { KeyText } from '../ui/key-text';
import { Notice } from '../ui/notice';
import { ValueViewer } from './value-viewer';

type KeyName = Pick<KeyInfo, 'key' | 'key_b64'>;

interface PanelProps {
  name: KeyName;
  path: string;
  onDeleted: () => void;
  onClose: () => void;
}

const plain = (value: number): format.Quantity => ({ short: String(value), exact: String(value) });

function Placard({ info }: { info: KeyInfo }) {
  return (
    <dl class="facts placard">
      <Fact name="size" help="Bytes of the value." value={info.size} format={format.bytes} />
      <Fact
        name="expires in"
        help="Time left to live when this was read. Never: it stays until it is evicted or deleted."
        value={info.expires_in_seconds}
        format={format.duration}
        none="never"
      />
      <Fact name="idle" help="Time since it was last read or stored by a client." value={info.idle_seconds} format={format.duration} />
      <Fact name="flags" help="The 32 bits a client stored with it; most use them for the value's type." value={info.flags} format={plain} />
      <Fact name="class" help="The size band it is counted in: its class in stats items and stats slabs." value={info.class} format={plain} />
      <TextFact name="read" help="Whether any client read it since it was stored. Looking here does not count.">
        {info.fetched ? 'yes, since it was stored' : 'not since it was stored'}
      </TextFact>
      <TextFact name="cas" help="The item's unique number: it changes with every store. gets returns it, cas wants it.">
        {info.cas}
      </TextFact>
    </dl>
  );
}

function DeleteDialog({ name, onClose }: { name: KeyName; onClose: (deleted: boolean) => void }) {
  const remove = async () => {
    try {
      await request('DELETE', keyPath(name));
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error; /* gone already is gone */
    }
    announce('Key deleted');
  };
  return (
    <ConfirmDialog title="Delete this key?" action="Delete" onConfirm={remove} onClose={onClose}>
      <p class="key-name">
        <KeyText {...name} />
      </p>
      <p>Clients that ask for it next will miss.</p>
    </ConfirmDialog>
  );
}

export function KeyPanel({ name, path, onDeleted, onClose }: PanelProps) {
  const [info, setInfo] = useState<KeyInfo | null>(null);
  const [failure, setFailure] = useState('');
  const [asking, setAsking] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);

  const load = async () => {
    try {
      setInfo(await request<KeyInfo>('GET', path));
      setFailure('');
    } catch (error) {
      const missing = error instanceof ApiError && error.status === 404;
      setFailure(missing ? 'This key is not in the cache: it expired, was evicted or deleted, or never was.' : explain(error));
    }
  };
  useEffect(() => {
    void load();
    heading.current?.focus();
  }, [path]);

  return (
    <section class="exhibit key-panel" aria-label="Key">
      <div class="panel-head">
        <h2 ref={heading} tabIndex={-1} class="key-name">
          <KeyText {...name} />
        </h2>
        <button type="button" class="quiet" onClick={onClose}>
          Close
        </button>
      </div>
      {failure && <Notice>{failure}</Notice>}
      {info && <Placard info={info} />}
      <div class="buttons">
        <button type="button" onClick={() => void load()}>
          Look again
        </button>
        <button type="button" class="danger" disabled={!info} onClick={() => setAsking(true)}>
          Delete…
        </button>
        <CurlButton method="GET" path={path} />
        {info && <CurlButton method="DELETE" path={path} label="Copy delete as curl" />}
      </div>
      {info && <ValueViewer name={name} version={info.cas} />}
      {asking && <DeleteDialog name={name} onClose={(deleted) => (deleted ? onDeleted() : setAsking(false))} />}
    </section>
  );
}
