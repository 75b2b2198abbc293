/* The first glance: is the cache doing its work, how fast, in how much memory. */

import { useMemo } from 'preact/hooks';
import * as format from '../lib/format';
import { setQuery, useRoute } from '../lib/router';
import { RANGES, type Range } from '../lib/series';
import { WINDOWS, type Stats, type WindowName } from '../lib/types';
import { Chart, type Line } from '../ui/chart';
import { Choice } from '../ui/choice';
import { Exhibit } from '../ui/exhibit';
import { Fact, Figure } from '../ui/figure';
import { MemoryBar } from '../ui/memory-bar';
import { Notice } from '../ui/notice';
import { useOverview, type OverviewData, type SeriesName } from './overview-data';

const DEFAULT_WINDOW: WindowName = '1m';
const DEFAULT_RANGE = RANGES[1]!;
/* A young server's graphs begin where it began, and are at least this wide (seconds). */
const SPAN_MIN = 60;

const WINDOW_WORDS: Record<WindowName, string> = {
  '10s': 'the last 10 seconds',
  '1m': 'the last minute',
  '5m': 'the last 5 minutes',
  '1h': 'the last hour',
  total: 'all time since the start',
};

type LineSpec = Omit<Line, 'values'> & { series: SeriesName };

interface TrendProps {
  data: OverviewData;
  range: Range;
  title: string;
  lines: readonly LineSpec[];
  format: format.Formatter;
  height?: number;
  top?: number;
  logarithmic?: boolean;
}

function Trend({ data, range, title, lines, ...rest }: TrendProps) {
  const { history, now, stats } = data;
  const drawn = useMemo(
    () => lines.map(({ series, ...line }) => ({ ...line, values: history?.series[series] ?? [] })),
    [history],
  );
  const span = Math.min(range.seconds, Math.max(SPAN_MIN, stats?.uptime_seconds ?? 0));
  const over = `${title}, last ${range.label}`;
  return <Chart title={over} times={history?.times ?? []} lines={drawn} seconds={range.seconds} span={span} now={now} {...rest} />;
}

/* Silence since the start reads differently from silence in this window. */
function silence(stats: Stats | null): string {
  if (!stats) return '…';
  return stats.hit_ratios.total === null ? format.NO_REQUESTS : 'no requests in this window';
}

function WindowChoice({ stats, value }: { stats: Stats | null; value: WindowName }) {
  const options = WINDOWS.map((name) => ({
    value: name,
    content: (
      <>
        <span class="window">{name}</span>
        <Figure value={stats?.hit_ratios[name]} format={format.ratio} none={stats ? 'none' : '…'} />
      </>
    ),
  }));
  const choose = (name: WindowName) => setQuery({ window: name === DEFAULT_WINDOW ? null : name }, true);
  return <Choice class="windows" label="Window of the figures" options={options} value={value} onChange={choose} />;
}

const MISS_REASONS = [
  ['never_seen', 'Never seen', 'Misses on keys this cache has no trace of: first requests, or keys gone for long.'],
  ['evicted', 'Evicted', 'Misses on keys that were evicted not long ago. More memory would have saved them: raise -m.'],
  ['expired', 'Expired', 'Misses on items whose time was up. Longer times to live would have saved them.'],
  ['deleted', 'Deleted', 'Misses on keys that a client had deleted not long ago.'],
  ['flushed', 'Flushed', 'Misses on items that flush_all removed.'],
] as const;

function MissReasons({ stats }: { stats: Stats | null }) {
  return (
    <dl class="facts misses">
      {MISS_REASONS.map(([reason, name, help]) => (
        <Fact
          key={reason}
          id={`miss_${reason}`}
          name={name}
          help={help}
          value={stats?.miss_reasons[reason]}
          format={format.count}
          none="…"
        />
      ))}
    </dl>
  );
}

function HitRatio({ data, window, range }: { data: OverviewData; window: WindowName; range: Range }) {
  const { stats } = data;
  return (
    <Exhibit
      id="hit_ratio"
      class="hero"
      title="Hit ratio"
      help="Keys found among keys asked for. Each window tells its own; the one chosen is the window of all figures on this page."
    >
      <div class="hero-figures">
        <p class="lead" data-fact="hit_ratio">
          <Figure value={stats?.hit_ratio} format={format.ratio} none={silence(stats)} />
        </p>
        <p class="caption">
          <Figure value={stats?.hits} format={format.count} none="…" /> {stats?.hits === 1 ? 'hit' : 'hits'} and{' '}
          <Figure value={stats?.misses} format={format.count} none="…" /> {stats?.misses === 1 ? 'miss' : 'misses'} in{' '}
          {WINDOW_WORDS[window]}
          {stats?.hit_ratios.total === null && '. Point a client here, and this moves within a second.'}
        </p>
        <WindowChoice stats={stats} value={window} />
        <h3>Why the misses missed</h3>
        <MissReasons stats={stats} />
      </div>
      <Trend
        data={data}
        range={range}
        title="Hit ratio"
        height={260}
        top={1}
        format={format.ratio}
        lines={[{ series: 'hit_ratio', name: 'hit ratio', color: '--line-1', fill: true }]}
      />
    </Exhibit>
  );
}

interface PanelProps {
  data: OverviewData;
  range: Range;
}

function Operations({ data, range }: PanelProps) {
  const operations = data.stats?.operations;
  const each = { format: format.rate, none: '…' };
  return (
    <Exhibit id="operations" title="Operations" help="Requests answered a second, over the chosen window.">
      <p class="lead" data-fact="operations">
        <Figure value={operations?.per_second} {...each} />
      </p>
      <dl class="facts">
        <Fact name="get" help="Keys asked for, a second." value={operations?.get_per_second} {...each} />
        <Fact name="set" help="Storage commands of all kinds, a second." value={operations?.set_per_second} {...each} />
        <Fact name="delete" help="Deletes a second." value={operations?.delete_per_second} {...each} />
        <Fact name="other" help="touch, incr, stats and the rest, a second." value={operations?.other_per_second} {...each} />
      </dl>
      <Trend
        data={data}
        range={range}
        title="Operations a second"
        format={format.rate}
        lines={[
          { series: 'operations', name: 'all', color: '--line-1', fill: true },
          { series: 'gets', name: 'get', color: '--line-2', dash: [6, 3] },
          { series: 'sets', name: 'set', color: '--line-3', dash: [2, 3] },
        ]}
      />
    </Exhibit>
  );
}

function Latency({ data, range }: PanelProps) {
  const latency = data.stats?.latency_seconds;
  const each = { format: format.latency, none: silence(data.stats) };
  return (
    <Exhibit
      id="latency"
      title="Latency"
      help="From the arrival of a request's bytes to the writing of its reply, inside the server. The network and the client come on top."
    >
      <p class="lead" data-fact="latency_p99">
        <Figure value={latency?.p99} {...each} /> <small>p99</small>
      </p>
      <dl class="facts">
        <Fact name="p50" help="Half of the requests were at least this fast." value={latency?.p50} {...each} none="–" />
        <Fact name="p90" help="Nine in ten requests were at least this fast." value={latency?.p90} {...each} none="–" />
        <Fact name="p999" help="All but one in a thousand were at least this fast." value={latency?.p999} {...each} none="–" />
        <Fact name="max" help="The slowest request of the window." value={latency?.max} {...each} none="–" />
      </dl>
      <Trend
        data={data}
        range={range}
        title="Latency"
        logarithmic
        format={format.latency}
        lines={[
          { series: 'latency_p50', name: 'p50', color: '--line-1' },
          { series: 'latency_p99', name: 'p99', color: '--line-2', dash: [6, 3] },
          { series: 'latency_p999', name: 'p999', color: '--line-3', dash: [2, 3] },
        ]}
      />
    </Exhibit>
  );
}

function Memory({ data, range }: PanelProps) {
  const memory = data.stats?.memory;
  return (
    <Exhibit id="memory" title="Memory" help="What the store uses of -m, its index included. A full cache is a healthy one: it evicts what is not read.">
      <p class="lead" data-fact="memory">
        <Figure value={memory?.used_bytes} format={format.bytes} none="…" />{' '}
        <small>
          of <Figure value={memory?.limit_bytes} format={format.bytes} none="…" />
        </small>
      </p>
      <MemoryBar memory={memory} />
      <Trend
        data={data}
        range={range}
        title="Memory"
        format={format.bytes}
        lines={[
          { series: 'memory_used', name: 'used of the limit', color: '--line-1', fill: true },
          { series: 'rss', name: 'whole process', color: '--line-2', dash: [6, 3] },
        ]}
      />
    </Exhibit>
  );
}

function Items({ data, range }: PanelProps) {
  const items = data.stats?.items;
  const each = { format: format.count, none: '…' };
  return (
    <Exhibit id="items" title="Items" help="Items alive now. Those stored in the chosen window, and where items went in it.">
      <p class="lead" data-fact="items">
        <Figure value={items?.current} {...each} />
      </p>
      <dl class="facts">
        <Fact name="stored" help="Items stored in this window, replacements included." value={items?.stored} {...each} />
        <Fact name="replaced" help="Items replaced by a newer value of the same key." value={items?.removed.replaced} {...each} />
        <Fact name="deleted" help="Items removed by delete." value={items?.removed.deleted} {...each} />
        <Fact name="flushed" help="Items removed by flush_all." value={items?.removed.flushed} {...each} />
      </dl>
      <Trend
        data={data}
        range={range}
        title="Items"
        format={format.count}
        lines={[{ series: 'items', name: 'items', color: '--line-1', fill: true }]}
      />
    </Exhibit>
  );
}

function Departures({ data, range }: PanelProps) {
  const { stats } = data;
  return (
    <Exhibit
      id="departures"
      title="Evictions and expiries"
      help="Expiries are items whose time was up: normal. Evictions are live items removed to make room: many of them, soon after they were stored, mean that -m is too small."
    >
      <p class="lead" data-fact="evictions">
        <Figure value={stats?.evictions_per_second} format={format.rate} none="…" /> <small>evicted</small>
      </p>
      <dl class="facts">
        <Fact name="expired" help="Items expired, a second." value={stats?.expiries_per_second} format={format.rate} none="…" />
        <Fact name="evictions" help="Items evicted in this window." value={stats?.items.removed.evicted} format={format.count} none="…" />
        <Fact name="expiries" help="Items expired in this window." value={stats?.items.removed.expired} format={format.count} none="…" />
      </dl>
      <Trend
        data={data}
        range={range}
        title="Evictions and expiries a second"
        format={format.rate}
        lines={[
          { series: 'evictions', name: 'evicted', color: '--line-2' },
          { series: 'expiries', name: 'expired', color: '--line-1', dash: [6, 3] },
        ]}
      />
    </Exhibit>
  );
}

function Connections({ data, range }: PanelProps) {
  const connections = data.stats?.connections;
  const each = { format: format.count, none: '…' };
  return (
    <Exhibit id="connections" title="Connections" help="Client connections open now, of the -c that may be. At -c, new ones wait until one closes.">
      <p class="lead" data-fact="connections">
        <Figure value={connections?.current} {...each} />{' '}
        <small>
          of <Figure value={connections?.max} {...each} />
        </small>
      </p>
      <dl class="facts">
        <Fact name="opened" help="Connections accepted in this window. Many beside few open: clients do not keep theirs." value={connections?.opened} {...each} />
        <Fact name="rejected" help="Connections refused because -c was reached. Raise -c, or find who leaks them." value={connections?.rejected} {...each} />
      </dl>
      <Trend
        data={data}
        range={range}
        title="Connections"
        format={format.count}
        lines={[{ series: 'connections', name: 'open', color: '--line-1', fill: true }]}
      />
    </Exhibit>
  );
}

function Network({ data, range }: PanelProps) {
  const network = data.stats?.network;
  const each = { format: format.byteRate, none: '…' };
  return (
    <Exhibit id="network" title="Network" help="Bytes to and from cache clients, a second. This dashboard is not counted.">
      <p class="lead">
        <Figure value={network?.written_bytes_per_second} {...each} /> <small>sent</small>
      </p>
      <dl class="facts">
        <Fact name="received" help="Bytes received from clients, a second." value={network?.read_bytes_per_second} {...each} />
      </dl>
      <Trend
        data={data}
        range={range}
        title="Network, bytes a second"
        format={format.byteRate}
        lines={[
          { series: 'written_bytes', name: 'sent', color: '--line-1', fill: true },
          { series: 'read_bytes', name: 'received', color: '--line-2', dash: [6, 3] },
        ]}
      />
    </Exhibit>
  );
}

function Processor({ data, range }: PanelProps) {
  const cpu = data.stats?.cpu;
  return (
    <Exhibit id="cpu" title="Processor" help="Time the process ran on processors: 100 % is one core.">
      <p class="lead">
        <Figure value={cpu?.utilization} format={format.ratio} none="…" /> <small>of one core</small>
      </p>
      <dl class="facts">
        <Fact name="user" help="Seconds in our own code, since the start." value={cpu?.user_seconds} format={format.duration} none="…" />
        <Fact name="system" help="Seconds in the kernel on our behalf, since the start." value={cpu?.system_seconds} format={format.duration} none="…" />
      </dl>
      <Trend
        data={data}
        range={range}
        title="Processor use"
        format={format.ratio}
        lines={[{ series: 'cpu', name: 'cores', color: '--line-1', fill: true }]}
      />
    </Exhibit>
  );
}

const PANELS = [Operations, Latency, Memory, Items, Departures, Connections, Network, Processor];

function RangeChoice({ range }: { range: Range }) {
  const options = RANGES.map(({ name, label }) => ({ value: name, content: label }));
  const choose = (name: string) => setQuery({ range: name === DEFAULT_RANGE.name ? null : name }, true);
  return <Choice class="ranges" label="Time shown in the graphs" options={options} value={range.name} onChange={choose} />;
}

export function Overview() {
  const { query } = useRoute();
  const window = WINDOWS.find((name) => name === query.get('window')) ?? DEFAULT_WINDOW;
  const range = RANGES.find(({ name }) => name === query.get('range')) ?? DEFAULT_RANGE;
  const data = useOverview(window, range);
  const { stats } = data;
  return (
    <>
      <div class="page-head">
        <h1 tabIndex={-1}>Overview</h1>
        <p class="caption">
          {stats ? `${stats.version}, up ${format.duration(stats.uptime_seconds).short}` : 'Asking the server…'}
        </p>
        <div class="spacer" />
        <div class="chooser">
          <span class="caption">Graphs show</span>
          <RangeChoice range={range} />
        </div>
      </div>
      {data.failure && <Notice>{data.failure}</Notice>}
      {stats && !stats.connections.accepting && (
        <Notice>New connections wait: all {stats.connections.max} are taken. Raise -c, or find who leaks them.</Notice>
      )}
      <HitRatio data={data} window={window} range={range} />
      <div class="gallery">
        {PANELS.map((Panel, i) => (
          <Panel key={i} data={data} range={range} />
        ))}
      </div>
    </>
  );
}
