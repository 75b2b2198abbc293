/* A line chart with its legend and its table. The legend carries the figures under the pointer; the table
 * carries the same points for those who cannot see the lines. Lines differ in dash as well as in colour. */

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { byteRate, bytes, clockTime, count, dayTime, type Formatter } from '../lib/format';
import { useStore } from '../lib/store';
import { paintEpoch } from '../lib/theme';

export interface Line {
  name: string;
  values: readonly (number | null)[];
  /* A custom property of the style sheet. */
  color: string;
  dash?: number[];
  fill?: boolean;
}

export interface ChartProps {
  title: string;
  times: readonly number[];
  lines: readonly Line[];
  /* The range chosen, which the labels follow, and how much of it is shown, ending at `now`: seconds. */
  seconds: number;
  span: number;
  now: number;
  format: Formatter;
  height?: number;
  /* The fixed top of the scale, as 1 for a ratio. */
  top?: number;
  logarithmic?: boolean;
}

const AXIS_WIDTH = 66;
/* Steps of a byte scale: 1 B to 4 TiB in powers of two, so that its labels are whole KiB and MiB. */
const BYTE_STEPS = Array.from({ length: 43 }, (_, power) => 2 ** power);
/* Steps of a scale of whole things: there are no two and a half connections. */
const COUNT_STEPS = Array.from({ length: 14 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();
const TABLE_ROWS = 30;
const DAY = 86400;

function cssColor(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function timeLabel(time: number, seconds: number): string {
  return seconds > DAY ? dayTime(time) : clockTime(time, seconds <= 900);
}

/* Room above the highest point, so that a flat line does not cling to the frame; zero stays at the bottom. */
function linearRange(top: number | undefined) {
  return (_plot: uPlot, _min: number | null, max: number | null): [number, number] =>
    top === undefined ? [0, max && max > 0 ? max * 1.1 : 1] : [0, top];
}

function logRange(_plot: uPlot, min: number | null, max: number | null): [number, number] {
  if (!min || !max || min <= 0) return [1e-6, 1e-3];
  return [10 ** Math.floor(Math.log10(min)), 10 ** Math.ceil(Math.log10(max * 1.01))];
}

function scaleSteps(format: Formatter): { incrs?: number[] } {
  if (format === bytes || format === byteRate) return { incrs: BYTE_STEPS };
  return format === count ? { incrs: COUNT_STEPS } : {};
}

function axes({ seconds, format, logarithmic }: ChartProps): uPlot.Axis[] {
  const common = {
    stroke: cssColor('--muted'),
    font: '11px system-ui, sans-serif',
    grid: { stroke: cssColor('--rule'), width: 1 },
    ticks: { show: false },
  };
  const timeText = (_plot: uPlot, splits: number[]) => splits.map((time) => timeLabel(time, seconds));
  const valueText = (_plot: uPlot, splits: (number | null)[]) =>
    splits.map((value) => (value === null || value === undefined ? '' : format(value).short));
  const powersOfTen = (_plot: uPlot, splits: number[]) => splits.map((v) => (Number.isInteger(Math.log10(v)) ? v : null));
  const grid = logarithmic ? { ...common.grid, filter: powersOfTen } : common.grid;
  return [
    { ...common, space: seconds > DAY ? 96 : 72, values: timeText, grid: { show: false }, size: 28 },
    { ...common, grid, space: 34, values: valueText, size: AXIS_WIDTH, ...scaleSteps(format) },
  ];
}

/* A point between two gaps has no line to be seen by: it is drawn as a dot. */
function isolatedPoints(plot: uPlot, series: number): number[] {
  const values = plot.data[series] ?? [];
  const known = (i: number) => values[i] !== null && values[i] !== undefined;
  return [...values.keys()].filter((i) => known(i) && !known(i - 1) && !known(i + 1));
}

function drawnLines({ lines }: ChartProps): uPlot.Series[] {
  return lines.map((line) => {
    const stroke = cssColor(line.color);
    const series: uPlot.Series = { label: line.name, stroke, width: 1.5, points: { show: true, size: 4, fill: stroke, filter: isolatedPoints } };
    if (line.dash) series.dash = line.dash;
    if (line.fill) series.fill = cssColor(line.color + '-wash');
    return series;
  });
}

function plotOptions(props: ChartProps, width: number, onCursor: (at: number | null) => void): uPlot.Options {
  const value: uPlot.Scale = props.logarithmic ? { distr: 3, range: logRange } : { range: linearRange(props.top) };
  return {
    width,
    height: props.height ?? 160,
    padding: [8, 22, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: 'page' }, drag: { x: false, y: false }, points: { size: 7 }, y: false },
    scales: { x: { time: true, auto: false }, y: value },
    axes: axes(props),
    series: [{}, ...drawnLines(props)],
    hooks: { setCursor: [(plot) => onCursor(plot.cursor.idx ?? null)] },
  };
}

function usePlot(props: ChartProps, onCursor: (at: number | null) => void) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const epoch = useStore(paintEpoch);

  const fill = () => {
    const data = [props.times, ...props.lines.map((line) => line.values)] as uPlot.AlignedData;
    plot.current?.batch(() => {
      plot.current?.setData(data, false);
      plot.current?.setScale('x', { min: props.now - props.span, max: props.now });
    });
  };

  useEffect(() => {
    const node = frame.current;
    if (!node) return undefined;
    plot.current = new uPlot(plotOptions(props, node.clientWidth, onCursor), undefined, node);
    fill();
    const observer = new ResizeObserver(() => {
      plot.current?.setSize({ width: node.clientWidth, height: props.height ?? 160 });
    });
    observer.observe(node);
    return () => {
      observer.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [epoch, props.seconds, props.height, props.logarithmic, props.lines.length]);

  useEffect(fill, [props.times, props.now, props.span]);
  return frame;
}

function Swatch({ line }: { line: Line }) {
  return (
    <svg class="swatch" width="22" height="8" viewBox="0 0 22 8" aria-hidden="true">
      <line x1="0" y1="4" x2="22" y2="4" class={'stroke' + line.color} stroke-dasharray={line.dash?.join(' ')} />
    </svg>
  );
}

function Legend({ props, at, drawn }: { props: ChartProps; at: number | null; drawn: boolean }) {
  const time = at === null ? undefined : props.times[at];
  return (
    <ul class="legend" aria-hidden="true">
      {props.lines.map((line) => {
        const value = at === null ? undefined : line.values[at];
        return (
          <li key={line.name}>
            <Swatch line={line} />
            {line.name}
            {time !== undefined && <b>{value === null || value === undefined ? '–' : props.format(value).short}</b>}
          </li>
        );
      })}
      {!drawn && <li>nothing yet</li>}
      {time !== undefined && <li class="at">at {timeLabel(time, props.seconds)}</li>}
    </ul>
  );
}

/* About thirty points, newest first: a table to be read, not a dump. */
function PointTable({ props }: { props: ChartProps }) {
  const stride = Math.max(1, Math.ceil(props.times.length / TABLE_ROWS));
  const rows: number[] = [];
  for (let i = props.times.length - 1; i >= 0; i -= stride) rows.push(i);
  return (
    <table>
      <caption class="unseen">{props.title}</caption>
      <thead>
        <tr>
          <th scope="col">Time</th>
          {props.lines.map((line) => (
            <th key={line.name} scope="col">
              {line.name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((i) => (
          <tr key={i}>
            <th scope="row">{timeLabel(props.times[i]!, props.seconds)}</th>
            {props.lines.map((line) => {
              const value = line.values[i];
              return <td key={line.name}>{value === null || value === undefined ? '–' : props.format(value).short}</td>;
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function describe(props: ChartProps): string {
  const spans = props.lines.map((line) => {
    const known = line.values.filter((v): v is number => v !== null && v !== undefined);
    if (known.length === 0) return `${line.name}: nothing yet`;
    const low = known.reduce((a, b) => Math.min(a, b));
    const high = known.reduce((a, b) => Math.max(a, b));
    return `${line.name}: ${props.format(low).short} to ${props.format(high).short}`;
  });
  return `${props.title}. ${spans.join('; ')}.`;
}

export function Chart(props: ChartProps) {
  const [at, setAt] = useState<number | null>(null);
  const [tableOpen, setTableOpen] = useState(false);
  const frame = usePlot(props, setAt);
  const text = useMemo(() => describe(props), [props.times]);
  const drawn = props.lines.some((line) => line.values.some((v) => v !== null && v !== undefined));
  return (
    <div class="chart" data-drawn={drawn ? 'yes' : 'no'}>
      <Legend props={props} at={at} drawn={drawn} />
      <div class="plot" ref={frame} role="img" aria-label={text} />
      <details open={tableOpen} onToggle={(event) => setTableOpen(event.currentTarget.open)}>
        <summary>As a table</summary>
        {tableOpen && (
          <div class="scroll" tabIndex={0} role="region" aria-label={`${props.title}: table`}>
            <PointTable props={props} />
          </div>
        )}
      </details>
    </div>
  );
}
