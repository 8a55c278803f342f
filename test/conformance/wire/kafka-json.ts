/**
 * Compares a decoded message with Kafka's JSON of it (its generated JsonConverter): int64 as numbers, bytes in base64,
 * uuids in base64url. A field that the JSON lacks (absent from the version, or a tag at its default) must have its
 * default; `records` are left out of the comparison, because the JSON has only their size.
 */
import assert from 'node:assert/strict';
import { zeroUuid } from '../../../src/wire/byte-reader.ts';
import type { Element, Fields } from '../../../src/wire/field.ts';

export function assertSameAsJson(decoded: unknown, json: Record<string, unknown>, fields: Fields, at: string): void {
  const value = decoded as Record<string, unknown>;
  for (const name of Object.keys(json)) assert.ok(name in fields, `${at}: ${name} is not described`);
  for (const [name, field] of Object.entries(fields)) {
    const here = `${at}.${name}`;
    if (field.type.kind === 'primitive' && field.type.primitive === 'records') continue;
    if (!(name in json)) {
      const expected = field.default === undefined ? implicitDefaults(field.type) : [field.default];
      if (expected !== null) assert.ok(expected.includes(plain(value[name])), `${here} is ${String(value[name])}`);
      continue;
    }
    switch (field.type.kind) {
      case 'primitive':
        assertSameElement(value[name], json[name], field.type.primitive, here);
        break;
      case 'struct':
        assertSameElement(value[name], json[name], field.type.fields, here);
        break;
      case 'array': {
        const { element } = field.type;
        const [items, jsonItems] = [value[name] as unknown[] | null, json[name] as unknown[] | null];
        if (jsonItems === null) assert.equal(items, null, here);
        else {
          assert.equal(items?.length, jsonItems.length, here);
          items?.forEach((item, i) => {
            assertSameElement(item, jsonItems[i], element, `${here}[${i}]`);
          });
        }
      }
    }
  }
}

function assertSameElement(value: unknown, json: unknown, element: Element, at: string): void {
  if (json === null) assert.equal(value, null, at);
  else if (typeof element !== 'string') {
    assert.ok(value !== null, at);
    assertSameAsJson(value, json as Record<string, unknown>, element, at);
  } else if (Buffer.isBuffer(value)) assert.equal(value.toString('base64'), json, at);
  else assert.equal(typeof value === 'bigint' ? Number(value) : value, json, at);
}

const plain = (value: unknown): unknown => (Array.isArray(value) && value.length === 0 ? 'empty' : value);

/** Null where the comparison of a struct's fields says enough. */
function implicitDefaults(type: Fields[string]['type']): readonly unknown[] | null {
  if (type.kind === 'array') return ['empty'];
  if (type.kind === 'struct') return null;
  return [0, 0n, false, '', zeroUuid, 'empty'];
}
