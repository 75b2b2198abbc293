/* One of a few: native radio buttons in the dress of a ruler, so that the arrow keys work by themselves. */

import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

interface ChoiceProps<T extends string> {
  label: string;
  options: readonly { value: T; content: ComponentChildren }[];
  value: T;
  onChange: (value: T) => void;
  class?: string;
}

export function Choice<T extends string>({ label, options, value, onChange, class: className = '' }: ChoiceProps<T>) {
  const name = useId();
  return (
    <fieldset class={`choice ${className}`}>
      <legend class="unseen">{label}</legend>
      {options.map((option) => (
        <label key={option.value} class={option.value === value ? 'chosen' : ''}>
          <input
            type="radio"
            name={name}
            value={option.value}
            checked={option.value === value}
            onChange={() => onChange(option.value)}
          />
          {option.content}
        </label>
      ))}
    </fieldset>
  );
}
