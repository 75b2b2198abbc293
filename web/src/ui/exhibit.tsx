/* One case of the collection: a title, what it holds, and what it means. */

import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import { Term } from './term';

interface ExhibitProps {
  title: string;
  help: string;
  id: string;
  class?: string;
  children: ComponentChildren;
}

export function Exhibit({ title, help, id, class: className = '', children }: ExhibitProps) {
  const heading = useId();
  return (
    <section class={`exhibit ${className}`} aria-labelledby={heading} data-exhibit={id}>
      <h2 id={heading}>
        <Term name={title}>{help}</Term>
      </h2>
      {children}
    </section>
  );
}
