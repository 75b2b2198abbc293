/* A figure: short to read, exact in its title, and words where there is nothing to count. */

import type { ComponentChildren } from 'preact';
import { NO_REQUESTS, type Formatter } from '../lib/format';
import { Term } from './term';

interface FigureProps {
  value: number | null | undefined;
  format: Formatter;
  none?: string;
  class?: string;
}

export function Figure({ value, format, none = NO_REQUESTS, class: className = '' }: FigureProps) {
  if (value === null || value === undefined) return <span class={`figure none ${className}`}>{none}</span>;
  const quantity = format(value);
  return (
    <span class={`figure ${className}`} title={quantity.exact}>
      {quantity.short}
    </span>
  );
}

interface FactProps extends FigureProps {
  name: string;
  help: string;
  id?: string;
  mark?: string;
}

/* One line of a placard: what, and how much. `id` is what tests and scripts find it by. */
export function Fact({ name, help, id, mark, ...figure }: FactProps) {
  return (
    <TextFact name={name} help={help} id={id} mark={mark}>
      <Figure {...figure} />
    </TextFact>
  );
}

type TextFactProps = Pick<FactProps, 'name' | 'help' | 'id' | 'mark'> & { children: ComponentChildren };

export function TextFact({ name, help, id, mark = '', children }: TextFactProps) {
  return (
    <div class={`fact ${mark}`} data-fact={id}>
      <dt>
        <Term name={name}>{help}</Term>
      </dt>
      <dd>{children}</dd>
    </div>
  );
}
