/* A word with its explanation: shown on hover, focus or press, gone with Escape. */

import { useId, useLayoutEffect, useRef, useState } from 'preact/hooks';

const MARGIN = 8;

/* Keeps the note inside the window whatever the zoom. */
function placeNote(note: HTMLElement, anchor: HTMLElement): void {
  const box = anchor.getBoundingClientRect();
  const width = note.offsetWidth;
  const left = Math.max(MARGIN, Math.min(box.left, document.documentElement.clientWidth - width - MARGIN));
  const fitsBelow = box.bottom + note.offsetHeight + MARGIN < innerHeight;
  note.style.left = `${left}px`;
  note.style.top = `${fitsBelow ? box.bottom : Math.max(MARGIN, box.top - note.offsetHeight)}px`;
}

export function Term({ name, children }: { name: string; children: string }) {
  const id = useId();
  const [open, setOpen] = useState(false);
  const anchor = useRef<HTMLButtonElement>(null);
  const note = useRef<HTMLSpanElement>(null);

  useLayoutEffect(() => {
    if (!open) return undefined;
    const place = () => note.current && anchor.current && placeNote(note.current, anchor.current);
    const onKey = (event: KeyboardEvent) => event.key === 'Escape' && setOpen(false);
    place();
    addEventListener('keydown', onKey);
    addEventListener('scroll', place, true);
    return () => {
      removeEventListener('keydown', onKey);
      removeEventListener('scroll', place, true);
    };
  }, [open]);

  return (
    <span class="term" onMouseEnter={() => setOpen(true)} onMouseLeave={() => setOpen(false)}>
      <button
        ref={anchor}
        type="button"
        aria-describedby={open ? id : undefined}
        onFocus={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onClick={() => setOpen(true)}
      >
        {name}
      </button>
      {open && (
        <span ref={note} id={id} role="tooltip" class="note">
          {children}
        </span>
      )}
    </span>
  );
}
