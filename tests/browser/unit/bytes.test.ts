import assert from 'node:assert/strict';
import { test } from 'node:test';
import { binaryRuns, fromBase64, fromHex, hexDump, runsText, toBase64Url, utf8, visibleRuns } from '../../../web/src/lib/bytes';
import { isJson, prettyJson } from '../../../web/src/lib/pretty-json';

test('what cannot be seen, or turns the line, is spelled out', () => {
  assert.equal(runsText(visibleRuns('a\u202eb')), 'a\\u{202e}b');
  assert.equal(runsText(visibleRuns('a\u200b\u00adb\u0000')), 'a\\u{200b}\\u{ad}b\\u{0}');
  assert.equal(runsText(visibleRuns('a\u00a0b c')), 'a\\u{a0}b c');
  assert.deepEqual(visibleRuns('é日本'), [{ text: 'é日本', escaped: false }]);
  assert.deepEqual(visibleRuns('<b>'), [{ text: '<b>', escaped: false }]);
  assert.equal(runsText(visibleRuns('a\n\tb', '\n\t')), 'a\n\tb');
});

test('bytes that are no text are told byte by byte', () => {
  assert.equal(runsText(binaryRuns(new Uint8Array([0xff, 0x41, 0x42, 0]))), '\\xffAB\\x00');
  assert.equal(utf8(new Uint8Array([0xff, 0xfe])), null);
  assert.equal(utf8(new Uint8Array([0xef, 0xbb, 0xbf, 0x41])), '\ufeffA');
});

test('encodings go there and back', () => {
  assert.deepEqual([...fromBase64('AP8Q')], [0, 255, 16]);
  assert.deepEqual([...fromHex('00ff10')], [0, 255, 16]);
  assert.equal(toBase64Url('+/8='), '-_8');
});

test('a hex dump has sixteen bytes a line and their ASCII', () => {
  const dump = hexDump(new Uint8Array(Array.from({ length: 18 }, (_, i) => 0x40 + i)));
  const [first, second] = dump.split('\n');
  assert.equal(first, '000000  40 41 42 43 44 45 46 47  48 49 4a 4b 4c 4d 4e 4f  @ABCDEFGHIJKLMNO');
  assert.equal(second, '000010  50 51' + ' '.repeat(18) + '  ' + ' '.repeat(23) + '  PQ');
});

test('JSON is indented without touching its numbers or strings', () => {
  const text = '{"id":12345678901234567890,"a":[1,{"b":"x,{}\\""}],"e":{},"f":[]}';
  const pretty = prettyJson(text);
  assert.equal(pretty.replace(/\n */g, '').replaceAll('": ', '":'), text);
  assert.match(pretty, /\n {2}"id": 12345678901234567890,\n/);
  assert.match(pretty, /"e": \{\},\n/);
  assert.ok(isJson(text) && !isJson('{'));
});
