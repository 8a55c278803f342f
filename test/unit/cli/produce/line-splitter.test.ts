import assert from 'node:assert/strict';
import { test } from 'vitest';
import { LineSplitter } from '../../../../src/cli/produce/line-splitter.ts';

/** Every way to cut `text` in two, and whole. */
function splitInTwo(text: string): string[][] {
  const bytes = Buffer.from(text);
  return Array.from({ length: bytes.length + 1 }, (_, at) => {
    const splitter = new LineSplitter();
    const lines = [...splitter.push(bytes.subarray(0, at)), ...splitter.push(bytes.subarray(at)), ...splitter.end()];
    return lines.map(String);
  });
}

const cases = [
  ['lines that end in a newline', 'a\nbc\n', ['a', 'bc']],
  ['a last line without one', 'a\nbc', ['a', 'bc']],
  ['empty lines', '\n\na\n\n', ['', '', 'a', '']],
  ['nothing', '', []],
  ['characters of several bytes', 'é\n€\n', ['é', '€']],
  ['a carriage return, which stays', 'a\r\nb', ['a\r', 'b']],
] as const;

for (const [title, text, expected] of cases)
  test(`wherever the input is cut, ${title} come out the same`, () => {
    for (const lines of splitInTwo(text)) assert.deepEqual(lines, expected);
  });

test('a line over many chunks is put together once', () => {
  const splitter = new LineSplitter();
  for (let i = 0; i < 1000; i += 1) assert.deepEqual(splitter.push(Buffer.from('x')), []);
  assert.deepEqual(splitter.push(Buffer.from('y\nz')).map(String), [`${'x'.repeat(1000)}y`]);
  assert.deepEqual(splitter.end().map(String), ['z']);
});
