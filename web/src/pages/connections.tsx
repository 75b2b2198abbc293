/* Who is connected, what they do, and how to see one out. */

import { useRef, useState } from 'preact/hooks';
import { ApiError, apiPath, explain, request } from '../lib/api';
import * as format from '../lib/format';
import { usePoll } from '../lib/poll';
import { setQuery, useRoute } from '../lib/router';
import type { Connection, Page } from '../lib/types';
import { announce } from '../ui/announce';
import { Choice } from '../ui/choice';
import { CurlButton } from '../ui/curl';
import { ConfirmDialog } from '../ui/dialog';
import { Figure } from '../ui/figure';
import { Notice } from '../ui/notice';
import { Term } from '../ui/term';

const SORTS = [
  { value: 'age', content: 'age' },
  { value: 'idle', content: 'idle' },
  { value: 'requests', content: 'requests' },
  { value: 'bytes', content: 'bytes' },
] as const;
type Sort = (typeof SORTS)[number]['value'];

const PAGE_SIZE = 100;

interface Column {
  name: string;
  help: string;
  format: format.Formatter;
  value: (connection: Connection) => number;
}

const COLUMNS: readonly Column[] = [
  { name: 'Age', help: 'How long it has been open.', format: format.duration, value: (c) => c.age_seconds },
  { name: 'Idle', help: 'Time since its last request.', format: format.duration, value: (c) => c.idle_seconds },
  { name: 'Requests', help: 'Requests it has made.', format: format.count, value: (c) => c.requests },
  { name: 'Received', help: 'Bytes it has sent us.', format: format.bytes, value: (c) => c.read_bytes },
  { name: 'Sent', help: 'Bytes we have sent it.', format: format.bytes, value: (c) => c.written_bytes },
  {
    name: 'Waiting',
    help: 'Bytes of replies it has not yet taken. Much, for long: a slow reader.',
    format: format.bytes,
    value: (c) => c.pending_bytes,
  },
  { name: 'Memory', help: 'Memory this connection holds.', format: format.bytes, value: (c) => c.memory_bytes },
];

function ConnectionRow({ connection, onKick }: { connection: Connection; onKick: () => void }) {
  return (
    <tr>
      <th scope="row">
        <bdi class="key">{connection.peer}</bdi>
        <span class="caption"> {connection.state}</span>
      </th>
      <td class="number">{connection.worker}</td>
      {COLUMNS.map((column) => (
        <td key={column.name} class="number">
          <Figure value={column.value(connection)} format={column.format} />
        </td>
      ))}
      <td>
        <button type="button" class="danger quiet" aria-label={`Close ${connection.peer}`} onClick={onKick}>
          Close…
        </button>
      </td>
    </tr>
  );
}

function ConnectionTable({ items, onKick }: { items: Connection[]; onKick: (connection: Connection) => void }) {
  return (
    <div class="scroll tall" tabIndex={0} role="region" aria-label="Connections, table">
      <table class="connections">
        <caption class="unseen">Client connections</caption>
        <thead>
          <tr>
            <th scope="col">Client</th>
            <th scope="col" class="number">
              <Term name="Worker">The thread that serves it.</Term>
            </th>
            {COLUMNS.map((column) => (
              <th key={column.name} scope="col" class="number">
                <Term name={column.name}>{column.help}</Term>
              </th>
            ))}
            <th scope="col">
              <span class="unseen">Action</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {items.map((connection) => (
            <ConnectionRow key={connection.id} connection={connection} onKick={() => onKick(connection)} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function KickDialog({ connection, onClose }: { connection: Connection; onClose: () => void }) {
  const path = apiPath(`/connections/${connection.id}`);
  const kick = async () => {
    try {
      await request('DELETE', path);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error; /* it left by itself */
    }
    announce('Connection closed');
  };
  return (
    <ConfirmDialog title="Close this connection?" action="Close it" onConfirm={kick} onClose={onClose}>
      <p class="key-name">{connection.peer}</p>
      <p>The client sees its connection end. Most connect again by themselves.</p>
      <CurlButton method="DELETE" path={path} />
    </ConfirmDialog>
  );
}

function useConnections(sort: Sort) {
  const [page, setPage] = useState<Page<Connection> | null>(null);
  const [failure, setFailure] = useState('');
  const wanted = useRef(PAGE_SIZE);
  const [, ask] = useState(0);
  usePoll(async () => {
    try {
      setPage(await request<Page<Connection>>('GET', apiPath('/connections', { sort, limit: wanted.current })));
      setFailure('');
    } catch (error) {
      if (error instanceof ApiError) setFailure(explain(error));
    }
  }, [sort], 2000);
  const more = () => {
    wanted.current = Math.min(1000, wanted.current + PAGE_SIZE);
    ask(wanted.current);
  };
  return { page, failure, more };
}

export function Connections() {
  const { query } = useRoute();
  const sort = SORTS.find(({ value }) => value === query.get('sort'))?.value ?? 'age';
  const { page, failure, more } = useConnections(sort);
  const [kicking, setKicking] = useState<Connection | null>(null);
  return (
    <>
      <div class="page-head">
        <h1 tabIndex={-1}>Connections</h1>
        <p class="caption">
          <Figure value={page?.total} format={format.count} none="…" /> open
        </p>
        <div class="spacer" />
        <div class="chooser">
          <span class="caption">Sorted by</span>
          <Choice label="Sort by" options={SORTS} value={sort} onChange={(value) => setQuery({ sort: value === 'age' ? null : value }, true)} />
          <CurlButton method="GET" path={apiPath('/connections', { sort })} />
        </div>
      </div>
      {failure && <Notice>{failure}</Notice>}
      <section class="exhibit" aria-label="Open connections">
        {page && page.items.length > 0 && <ConnectionTable items={page.items} onKick={setKicking} />}
        <div class="list-foot">
          <p class="caption">
            {!page ? 'Asking the server…' : page.items.length === 0 ? 'No client is connected.' : `${page.items.length} of ${page.total} shown.`}
          </p>
          {page?.next_cursor && (
            <button type="button" onClick={more}>
              Show more
            </button>
          )}
        </div>
      </section>
      {kicking && <KickDialog connection={kicking} onClose={() => setKicking(null)} />}
    </>
  );
}
