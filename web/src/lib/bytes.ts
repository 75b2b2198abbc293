/* Keys and values are bytes from strangers. Here they become text that shows exactly what is there: what a
 * reader could not see, or what would turn the line around (U+202E), is spelled out. */

export function fromBase64(text: string): Uint8Array {
  const binary = atob(text);
  return Uint8Array.from(binary, (c) => c.charCodeAt(0));
}

export function toBase64Url(base64: string): string {
  return base64.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

export function fromHex(text: string): Uint8Array {
  const out = new Uint8Array(text.length >> 1);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}

export interface Run {
  text: string;
  escaped: boolean;
  title?: string;
}

/* Controls, format characters (bidi, zero width, soft hyphen), separators that are no plain space, private use,
 * surrogates and unassigned ones. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/u;

function codeName(point: number): string {
  return 'U+' + point.toString(16).toUpperCase().padStart(4, '0');
}

/* `keep` names unseen characters that may stand: line breaks and tabs in a value. */
export function visibleRuns(text: string, keep = ''): Run[] {
  const runs: Run[] = [];
  let plain = '';
  const flush = () => {
    if (plain) runs.push({ text: plain, escaped: false });
    plain = '';
  };
  for (const char of text) {
    if (keep.includes(char) || !UNSEEN.test(char)) {
      plain += char;
      continue;
    }
    flush();
    const point = char.codePointAt(0) ?? 0;
    runs.push({ text: `\\u{${point.toString(16)}}`, escaped: true, title: codeName(point) });
  }
  flush();
  return runs;
}

/* Bytes that are no UTF-8: printable ASCII as it is, the rest as \xNN. */
export function binaryRuns(data: Uint8Array): Run[] {
  const runs: Run[] = [];
  for (const byte of data) {
    const printable = byte >= 0x20 && byte < 0x7f;
    const text = printable ? String.fromCharCode(byte) : '\\x' + byte.toString(16).padStart(2, '0');
    const last = runs[runs.length - 1];
    if (last && last.escaped === !printable) last.text += text;
    else runs.push({ text, escaped: !printable });
  }
  return runs;
}

export function runsText(runs: readonly Run[]): string {
  return runs.map((run) => run.text).join('');
}

export function utf8(data: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    return null;
  }
}

/* As hexdump prints it: offset, sixteen bytes, their ASCII. */
export function hexDump(data: Uint8Array, offset = 0): string {
  const lines: string[] = [];
  for (let at = 0; at < data.length; at += 16) {
    const row = [...data.subarray(at, at + 16)];
    const hex = row.map((b) => b.toString(16).padStart(2, '0'));
    const left = hex.slice(0, 8).join(' ').padEnd(23);
    const right = hex.slice(8).join(' ').padEnd(23);
    const ascii = row.map((b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : '.')).join('');
    lines.push(`${(offset + at).toString(16).padStart(6, '0')}  ${left}  ${right}  ${ascii}`);
  }
  return lines.join('\n');
}
