/**
 * How does a description become a reader and a writer? Once per message and version: fields that the version lacks
 * fall away, each of the others becomes one step, and what depends on the version (compact or plain lengths, null
 * allowed or not) is settled in the choice of the step. Reading and writing then test no version.
 */
import type { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { type Codec, nullHere, primitiveCodec, readCount, writeCount } from './codec.ts';
import type { Element, Field, Fields } from './field.ts';
import { inRange, type VersionRange } from './version-range.ts';
import { inField, WireError } from './wire-error.ts';

type StructValue = Record<string, unknown>;

interface Version {
  readonly number: number;
  readonly isFlexible: boolean;
}

interface Step {
  readonly name: string;
  readonly tag: number;
  readonly codec: Codec;
}

export function compileMessage(fields: Fields, version: number, flexible: VersionRange): Codec<StructValue> {
  return compileStruct(fields, { number: version, isFlexible: inRange(flexible, version) });
}

function compileStruct(fields: Fields, version: Version): Codec<StructValue> {
  const inOrder: Step[] = [];
  const tagged: Step[] = [];
  const template: StructValue = {};
  for (const [name, field] of Object.entries(fields)) {
    const codec = compileField(field, version);
    template[name] = codec.defaultValue;
    if (!inRange(field.versions, version.number)) continue;
    if (field.tag !== null && version.isFlexible) tagged.push({ name, tag: field.tag, codec });
    else inOrder.push({ name, tag: -1, codec });
  }
  tagged.sort((a, b) => a.tag - b.tag);
  const byTag = new Map(tagged.map((step) => [step.tag, step]));
  const { isFlexible } = version;
  const minBytes = inOrder.reduce((sum, { codec }) => sum + codec.minBytes, isFlexible ? 1 : 0);

  function readTags(reader: ByteReader, value: StructValue): void {
    for (let left = reader.uvarint(); left > 0; left--) {
      const step = byTag.get(reader.uvarint());
      const size = reader.uvarint();
      if (step === undefined)
        reader.skip(size); // KIP-482: unknown tags are passed over, never an error
      else
        try {
          value[step.name] = reader.sized(size, step.codec.read);
        } catch (error) {
          throw inField(step.name, error);
        }
    }
  }

  function writeTags(writer: ByteWriter, value: StructValue): void {
    const present = tagged.filter(({ name, codec }) => value[name] !== undefined && !codec.isDefault(value[name]));
    writer.uvarint(present.length);
    for (const { name, tag, codec } of present) {
      writer.uvarint(tag);
      try {
        writer.sized(() => codec.write(writer, value[name]));
      } catch (error) {
        throw inField(name, error);
      }
    }
  }

  return {
    minBytes,
    defaultValue: Object.freeze({ ...template }),
    read(reader) {
      // A copy of the template has all fields, in one order, so that every version's structs share one shape.
      const value = { ...template };
      let name = '';
      try {
        for (const step of inOrder) {
          name = step.name;
          value[name] = step.codec.read(reader);
        }
      } catch (error) {
        throw inField(name, error);
      }
      if (isFlexible) readTags(reader, value);
      return value;
    },
    write(writer, value) {
      let name = '';
      try {
        for (const step of inOrder) {
          name = step.name;
          const given = value[name];
          step.codec.write(writer, given === undefined ? step.codec.defaultValue : given);
        }
      } catch (error) {
        throw inField(name, error);
      }
      if (!isFlexible) return;
      if (tagged.length === 0) writer.uvarint(0);
      else writeTags(writer, value);
    },
    isDefault: (value) =>
      [...inOrder, ...tagged].every(({ name, codec }) => value[name] === undefined || codec.isDefault(value[name])),
  };
}

function compileField(field: Field, version: Version): Codec {
  const isNullable = field.nullable !== null && inRange(field.nullable, version.number);
  const codec = compileType(field, version, isNullable);
  return field.default === undefined ? codec : withDefault(codec, field.default);
}

function compileType(field: Field, version: Version, isNullable: boolean): Codec {
  const { type } = field;
  switch (type.kind) {
    case 'primitive':
      return primitiveCodec(type.primitive, version.isFlexible, isNullable);
    case 'array':
      return compileArray(type.element, version, isNullable);
    case 'struct': {
      const codec = compileStruct(type.fields, version);
      if (!isNullable) return notNull(codec);
      return field.tag === null ? nullableStruct(codec) : nullableTaggedStruct(codec);
    }
  }
}

function withDefault(codec: Codec, described: unknown): Codec {
  const isInt64 = typeof codec.defaultValue === 'bigint';
  const value = isInt64 ? BigInt(described as bigint | number) : described;
  const isDefault = (given: unknown) => (isInt64 ? BigInt(given as bigint | number) : given) === value;
  return { ...codec, defaultValue: value, isDefault };
}

/** So many texts are worth remembering that they were just written. */
const longList = 16;

function compileArray(element: Element, version: Version, isNullable: boolean): Codec {
  const item =
    typeof element === 'string'
      ? primitiveCodec(element, version.isFlexible, false)
      : notNull(compileStruct(element, version));
  const minBytesEach = Math.max(1, item.minBytes);
  const writeAll = (writer: ByteWriter, items: readonly unknown[]): void => {
    for (const given of items) item.write(writer, given);
  };
  const { isFlexible } = version;
  return {
    minBytes: isFlexible ? 1 : 4,
    defaultValue: Object.freeze([]),
    read(reader) {
      const count = readCount(reader, isFlexible, isNullable);
      if (count < 0) return null;
      reader.takeElements(count, minBytesEach);
      const items: unknown[] = [];
      for (let i = 0; i < count; i++) items.push(item.read(reader));
      return items;
    },
    write(writer, value) {
      if (value === null && !isNullable) throw nullHere();
      const items = value as readonly unknown[] | null;
      writeCount(writer, isFlexible, items === null ? -1 : items.length);
      if (items === null) return;
      if (element === 'string' && items.length >= longList) writer.list(items, (into) => writeAll(into, items));
      else writeAll(writer, items);
    },
    isDefault: (value) => value !== null && (value as readonly unknown[]).length === 0,
  };
}

function notNull(codec: Codec<StructValue>): Codec {
  return {
    ...(codec as Codec),
    write(writer, value) {
      if (value === null) throw nullHere();
      codec.write(writer, value as StructValue);
    },
  };
}

/** A byte before it says whether it is there: -1 for null, 1 for a value (any that is not negative is read as one). */
function nullableStruct(codec: Codec<StructValue>): Codec {
  return {
    minBytes: 1,
    defaultValue: codec.defaultValue,
    read: (reader) => (reader.int8() < 0 ? null : codec.read(reader)),
    write(writer, value) {
      writer.int8(value === null ? -1 : 1);
      if (value !== null) codec.write(writer, value as StructValue);
    },
    isDefault: (value) => value !== null && codec.isDefault(value as StructValue),
  };
}

/** Within a tagged field the mark is a uvarint: 0 for null, 1 for a value. */
function nullableTaggedStruct(codec: Codec<StructValue>): Codec {
  return {
    ...nullableStruct(codec),
    read(reader) {
      const mark = reader.uvarint();
      if (mark > 1) throw new WireError(`${mark} where 0 means null and 1 a struct`);
      return mark === 0 ? null : codec.read(reader);
    },
    write(writer, value) {
      writer.uvarint(value === null ? 0 : 1);
      if (value !== null) codec.write(writer, value as StructValue);
    },
  };
}
