/**
 * How is each primitive type read and written? Two forms of every length: plain (int16 for strings, int32 otherwise,
 * -1 for null) and, in flexible versions, compact (uvarint of n + 1, 0 for null; KIP-482).
 */
import { type ByteReader, zeroUuid } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import type { Primitive } from './field.ts';
import { EncodeError, WireError } from './wire-error.ts';

/** Reads and writes one type in one version. */
export interface Codec<Value = unknown> {
  /** The fewest bytes a value takes; it bounds array counts before anything is allocated. */
  readonly minBytes: number;
  readonly defaultValue: Value;
  read(reader: ByteReader): Value;
  write(writer: ByteWriter, value: Value): void;
  /** Tagged fields are written only when they differ from their default. */
  isDefault(value: Value): boolean;
}

export const nullHere = () => new EncodeError('null, where this version has none');

/** @returns the length that comes next, -1 for null where that is allowed. */
function checkedLength(length: number, isNullable: boolean): number {
  if (length < -1) throw new WireError(`a length of ${length}`);
  if (length === -1 && !isNullable) throw new WireError('null, where this version has none');
  return length;
}

/** Reads the length of `bytes`, `records` and arrays. */
export function readCount(reader: ByteReader, isFlexible: boolean, isNullable: boolean): number {
  return checkedLength(isFlexible ? reader.compactLength() : reader.int32(), isNullable);
}

export function writeCount(writer: ByteWriter, isFlexible: boolean, count: number): void {
  if (isFlexible) writer.uvarint(count + 1);
  else writer.int32(count);
}

const integer = (minBytes: number, read: Codec<number>['read'], write: Codec<number>['write']): Codec<number> => ({
  minBytes,
  defaultValue: 0,
  read,
  write,
  isDefault: (value) => value === 0,
});

const fixedSize = {
  bool: {
    minBytes: 1,
    defaultValue: false,
    read: (reader) => reader.bool(),
    write: (writer, value) => writer.bool(value),
    isDefault: (value) => !value,
  } satisfies Codec<boolean>,
  int8: integer(
    1,
    (reader) => reader.int8(),
    (writer, value) => writer.int8(value),
  ),
  int16: integer(
    2,
    (reader) => reader.int16(),
    (writer, value) => writer.int16(value),
  ),
  uint16: integer(
    2,
    (reader) => reader.uint16(),
    (writer, value) => writer.uint16(value),
  ),
  int32: integer(
    4,
    (reader) => reader.int32(),
    (writer, value) => writer.int32(value),
  ),
  int64: {
    minBytes: 8,
    defaultValue: 0n,
    read: (reader) => reader.int64(),
    write: (writer, value) => writer.int64(value),
    isDefault: (value) => BigInt(value) === 0n,
  } satisfies Codec<bigint | number>,
  float64: integer(
    8,
    (reader) => reader.float64(),
    (writer, value) => writer.float64(value),
  ),
  uuid: {
    minBytes: 16,
    defaultValue: zeroUuid,
    read: (reader) => reader.uuid(),
    write: (writer, value) => writer.uuid(value),
    isDefault: (value) => value === zeroUuid,
  } satisfies Codec<string>,
};

/** The codec of a primitive in one kind of version. */
export function primitiveCodec(primitive: Primitive, isFlexible: boolean, isNullable: boolean): Codec {
  switch (primitive) {
    case 'string':
      return stringCodec(isFlexible, isNullable) as Codec;
    case 'bytes':
      return bytesCodec(isFlexible, isNullable, false) as Codec;
    case 'records':
      return bytesCodec(isFlexible, isNullable, isNullable) as Codec;
    default:
      return fixedSize[primitive] as Codec;
  }
}

function stringCodec(isFlexible: boolean, isNullable: boolean): Codec<string | null> {
  return {
    minBytes: isFlexible ? 1 : 2,
    defaultValue: '',
    read(reader) {
      const length = checkedLength(isFlexible ? reader.compactLength() : reader.int16(), isNullable);
      return length < 0 ? null : reader.string(length);
    },
    write(writer, value) {
      if (value !== null) writer.string(value, isFlexible);
      else if (!isNullable) throw nullHere();
      else if (isFlexible) writer.uvarint(0);
      else writer.int16(-1);
    },
    isDefault: (value) => value === '',
  };
}

type Bytes = Buffer | readonly Buffer[] | null;

function bytesCodec(isFlexible: boolean, isNullable: boolean, isNullByDefault: boolean): Codec<Bytes> {
  return {
    minBytes: isFlexible ? 1 : 4,
    defaultValue: isNullByDefault ? null : Buffer.alloc(0),
    read(reader) {
      const length = readCount(reader, isFlexible, isNullable);
      return length < 0 ? null : reader.bytes(length);
    },
    write(writer, value) {
      if (value === null) {
        if (!isNullable) throw nullHere();
        writeCount(writer, isFlexible, -1);
      } else if (Buffer.isBuffer(value)) {
        writeCount(writer, isFlexible, value.length);
        writer.bytes(value);
      } else {
        writeCount(
          writer,
          isFlexible,
          value.reduce((sum, piece) => sum + piece.length, 0),
        );
        for (const piece of value) writer.bytes(piece);
      }
    },
    isDefault: (value) => (isNullByDefault ? value === null : value?.length === 0),
  };
}
