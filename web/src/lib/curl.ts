/* The command line that does what a button does, safe to paste into a POSIX shell. */

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

function shellQuote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/* Everything but plain ASCII leaves as \uXXXX: what is pasted is what was seen. */
function asciiJson(body: unknown): string {
  return JSON.stringify(body).replace(/[^\x20-\x7e]/g, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
}

export function curlCommand(method: Method, path: string, body?: unknown): string {
  const parts = ['curl'];
  if (method !== 'GET') parts.push('-X', method);
  if (method !== 'GET') parts.push('-H', shellQuote('Content-Type: application/json'));
  if (body !== undefined) parts.push('-d', shellQuote(asciiJson(body)));
  parts.push(shellQuote(location.origin + path));
  return parts.join(' ');
}
