/** The messages of `proto/cordwood/` as protobufjs reads and writes them, to compare ours with. */
import path from 'node:path';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';

export interface ForeignCodec {
  encode(value: object): Buffer;
  decode(bytes: Buffer): Record<string, unknown>;
}

const directory = path.join(import.meta.dirname, '../../../proto/cordwood');

/** Of one method of one service: what it takes and what it gives. */
export function foreignCodecs(file: string, service: string, method: string): [ForeignCodec, ForeignCodec] {
  const definitions = loadSync(path.join(directory, file), { longs: Number, enums: String, oneofs: true });
  const definition = (definitions[service] as ServiceDefinition)[method];
  if (definition === undefined) throw new Error(`${service} has no ${method}`);
  return [
    {
      encode: definition.requestSerialize,
      decode: (bytes) => definition.requestDeserialize(bytes) as Record<string, unknown>,
    },
    {
      encode: definition.responseSerialize,
      decode: (bytes) => definition.responseDeserialize(bytes) as Record<string, unknown>,
    },
  ];
}

/**
 * `ours` as protobufjs would show it: null and empty lists are absent, unions name their case in `kind`, lists that may
 * be null are wrapped, bytes are Buffers. What the two say must then be the same, field name by field name.
 */
export function sameFacts(ours: unknown, theirs: unknown, where = 'message'): string[] {
  if (ours === null || ours === undefined) return theirs === undefined || theirs === null ? [] : [`${where} is there`];
  if (Buffer.isBuffer(ours)) return Buffer.isBuffer(theirs) && ours.equals(theirs) ? [] : [`${where} differs`];
  if (Array.isArray(ours)) {
    const list = Array.isArray(theirs) ? theirs : ((theirs as { items?: unknown[] } | undefined)?.items ?? []);
    if (list.length !== ours.length) return [`${where} has ${list.length} items instead of ${ours.length}`];
    return ours.flatMap((item, index) => sameFacts(item, (list as unknown[])[index], `${where}[${index}]`));
  }
  if (typeof ours === 'object') {
    if (theirs === undefined && Object.keys(ours).length === 0) return [];
    if (typeof theirs !== 'object' || theirs === null) return [`${where} is missing`];
    const { kind, ...facts } = ours as Record<string, unknown>;
    const body = (kind === undefined ? theirs : (theirs as Record<string, unknown>)[String(kind)]) as
      | Record<string, unknown>
      | undefined;
    if (body === undefined) return [`${where} is not of kind ${String(kind)}`];
    return Object.entries(facts).flatMap(([name, fact]) => sameFacts(fact, body[name], `${where}.${name}`));
  }
  if (ours === theirs) return [];
  if (typeof ours === 'string' && typeof theirs === 'string') {
    const word = ours.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
    if (theirs.endsWith(`_${word}`)) return [];
  }
  return [`${where} is ${String(theirs)} instead of ${String(ours)}`];
}
