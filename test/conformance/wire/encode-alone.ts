/** A message's bytes in one buffer, without size and header. */
import { ByteWriter } from '../../../src/wire/byte-writer.ts';
import type { Fields, Given } from '../../../src/wire/field.ts';
import type { Message } from '../../../src/wire/message.ts';

export function encodeAlone<F extends Fields>(message: Message<F>, version: number, value: Given<F>): Buffer {
  const writer = new ByteWriter();
  message.write(writer, version, value);
  const { chunks, length } = writer.finish();
  return Buffer.concat(chunks, length);
}
