/* A question that must be answered first. The platform's own dialog: it holds the focus and closes with Escape. */

import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { explain } from '../lib/api';
import { Notice } from './notice';

interface ConfirmProps {
  title: string;
  action: string;
  children: ComponentChildren;
  /* What must be typed before the action can be pressed. */
  typed?: string;
  /* Fails with what the dialog then shows. */
  onConfirm: () => Promise<void>;
  /* After it was closed: with true when the action was done. */
  onClose: (done: boolean) => void;
}

function TypedWord({ word, onChange }: { word: string; onChange: (right: boolean) => void }) {
  return (
    <label class="field">
      <span>
        Type <code>{word}</code> to go on
      </span>
      <input
        type="text"
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        onInput={(event) => onChange(event.currentTarget.value === word)}
      />
    </label>
  );
}

export function ConfirmDialog({ title, action, children, typed, onConfirm, onClose }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  const done = useRef(false);
  const [ready, setReady] = useState(typed === undefined);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState('');

  useLayoutEffect(() => {
    dialog.current?.showModal();
  }, []);

  const submit = async (event: Event) => {
    event.preventDefault();
    if (!ready || busy) return;
    setBusy(true);
    try {
      await onConfirm();
      done.current = true;
      dialog.current?.close();
    } catch (error) {
      setFailure(explain(error));
      setBusy(false);
    }
  };

  return (
    <dialog ref={dialog} aria-labelledby={heading} onClose={() => onClose(done.current)}>
      <form onSubmit={submit}>
        <h2 id={heading}>{title}</h2>
        {children}
        {typed !== undefined && <TypedWord word={typed} onChange={setReady} />}
        {failure && <Notice>{failure}</Notice>}
        <div class="buttons">
          <button type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" class="danger" disabled={!ready || busy}>
            {action}
          </button>
        </div>
      </form>
    </dialog>
  );
}
