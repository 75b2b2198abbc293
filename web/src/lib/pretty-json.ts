/* Indents JSON text without touching its tokens: JSON.parse + stringify would round integers past 2^53. */

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/* `text` must be JSON. */
export function prettyJson(text: string): string {
  const tokens = text.match(TOKEN) ?? [];
  let out = '';
  let depth = 0;
  const newLine = () => '\n' + '  '.repeat(depth);
  tokens.forEach((token, i) => {
    const empty = (token === '{' && tokens[i + 1] === '}') || (token === '[' && tokens[i + 1] === ']');
    const closesEmpty = (token === '}' && tokens[i - 1] === '{') || (token === ']' && tokens[i - 1] === '[');
    if (token === '{' || token === '[') {
      depth++;
      out += empty ? token : token + newLine();
    } else if (token === '}' || token === ']') {
      depth--;
      out += closesEmpty ? token : newLine() + token;
    } else if (token === ',') out += token + newLine();
    else out += token === ':' ? ': ' : token;
  });
  return out;
}
