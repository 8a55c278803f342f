/** Reads a file of test vectors: gzip of one JSON object a line. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

export function readVectors<Vector>(file: string): Vector[] {
  const path = new URL(`../vectors/${file}`, import.meta.url);
  return gunzipSync(readFileSync(path))
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Vector);
}
