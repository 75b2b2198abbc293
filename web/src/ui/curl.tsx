/* "Copy as curl": what this button does, as a command. Where there is no clipboard (plain HTTP from afar), the
 * command is shown to be copied by hand. */

import { useEffect, useRef, useState } from 'preact/hooks';
import { curlCommand, type Method } from '../lib/curl';
import { announce } from './announce';

const CONFIRM_MS = 2000;

interface CurlProps {
  method: Method;
  path: string;
  body?: unknown;
  label?: string;
}

export function CurlButton({ method, path, body, label = 'Copy as curl' }: CurlProps) {
  const [copied, setCopied] = useState(false);
  const [shown, setShown] = useState('');
  const field = useRef<HTMLInputElement>(null);

  useEffect(() => {
    const timer = copied ? setTimeout(() => setCopied(false), CONFIRM_MS) : undefined;
    return () => clearTimeout(timer);
  }, [copied]);
  useEffect(() => field.current?.select(), [shown]);

  const copy = async () => {
    const command = curlCommand(method, path, body);
    try {
      await navigator.clipboard.writeText(command);
      setCopied(true);
      announce('Command copied');
    } catch {
      setShown(command);
    }
  };

  return (
    <span class="curl">
      <button type="button" class="quiet" onClick={copy}>
        {copied ? 'Copied' : label}
      </button>
      {shown && <input ref={field} class="command" type="text" readOnly value={shown} aria-label="The command" />}
    </span>
  );
}
