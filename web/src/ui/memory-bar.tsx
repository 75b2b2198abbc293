/* What the memory limit is spent on: a bar in the order of its list. */

import { bytes } from '../lib/format';
import type { Stats } from '../lib/types';
import { Fact } from './figure';

type Memory = Stats['memory'];

interface Part {
  id: string;
  name: string;
  help: string;
  size: (memory: Memory) => number;
}

const PARTS: readonly Part[] = [
  { id: 'items', name: 'items', help: 'Items alive: headers, keys and values.', size: (m) => m.items_bytes },
  {
    id: 'slack',
    name: 'reclaimable',
    help: 'Space in segments that holds nothing alive: replaced, expired or not yet written. It is taken back as segments are reused.',
    size: (m) => Math.max(0, m.segments_bytes - m.items_bytes),
  },
  { id: 'index', name: 'index', help: 'The table that finds items by key.', size: (m) => m.index_bytes },
  { id: 'staging', name: 'arriving', help: 'Values on their way in from clients.', size: (m) => m.staging_bytes },
  {
    id: 'free',
    name: 'free',
    help: 'What is left of -m. Nothing is evicted for want of memory while there is some.',
    size: (m) => Math.max(0, m.limit_bytes - m.used_bytes),
  },
];

function Bar({ memory }: { memory: Memory }) {
  const sizes = PARTS.map((part) => part.size(memory));
  const whole = Math.max(1, sizes.reduce((a, b) => a + b, 0));
  let start = 0;
  return (
    <svg class="bar" width="100%" height="12" aria-hidden="true">
      {PARTS.map((part, i) => {
        const share = (sizes[i]! / whole) * 100;
        const x = start;
        start += share;
        return <rect key={part.id} class={`part-${part.id}`} x={`${x}%`} width={`${share}%`} height="12" />;
      })}
    </svg>
  );
}

export function MemoryBar({ memory }: { memory: Memory | undefined }) {
  return (
    <>
      {memory && <Bar memory={memory} />}
      <dl class="facts parts">
        {PARTS.map((part) => (
          <Fact
            key={part.id}
            mark={`part-key part-${part.id}`}
            name={part.name}
            help={part.help}
            value={memory && part.size(memory)}
            format={bytes}
            none="…"
          />
        ))}
      </dl>
    </>
  );
}
