/**
 * How is a message described once, and read and written from that description? Each value has a `FieldType`; a message is
 * a table of field number and type per property. `proto/cordwood/*.proto` describe the same messages for other
 * languages, and a test compares the two through protobufjs, so that they cannot drift apart.
 *
 * As proto3 has it: a scalar that is absent has its zero value; fields of unknown number are passed over.
 */
import { bytesWire, doubleWire, ProtobufError, ProtobufReader, ProtobufWriter, varintWire } from './protobuf.ts';

/** One value on the wire, without its tag. */
export interface FieldType<Value> {
  readonly wireType: number;
  write(writer: ProtobufWriter, value: Value): void;
  read(reader: ProtobufReader): Value;
  /** What an absent field stands for; throws where nothing does. */
  absent(): Value;
}

/** One property of a message: its number, and how it is written with its tag, none or many times. */
export interface Field<Value> {
  readonly number: number;
  write(writer: ProtobufWriter, value: Value): void;
  /** `before` is what earlier occurrences of the field gave, undefined at the first. */
  read(reader: ProtobufReader, wireType: number, before: Value | undefined): Value;
  absent(): Value;
}

type FieldsOf<Shape> = { readonly [Name in keyof Shape]-?: Field<Shape[Name]> };

function expectWireType(actual: number, expected: number): void {
  if (actual !== expected) throw new ProtobufError(`wire type ${actual} where ${expected} belongs`);
}

export const unsigned: FieldType<number> = {
  wireType: varintWire,
  write: (writer, value) => writer.varint(value),
  read: (reader) => reader.varint(),
  absent: () => 0,
};

/** For what may be -1. */
export const signed: FieldType<number> = {
  wireType: varintWire,
  write: (writer, value) => writer.zigzag(value),
  read: (reader) => reader.zigzag(),
  absent: () => 0,
};

export const boolean: FieldType<boolean> = {
  wireType: varintWire,
  write: (writer, value) => writer.varint(value ? 1 : 0),
  read: (reader) => reader.varint() !== 0,
  absent: () => false,
};

export const double: FieldType<number> = {
  wireType: doubleWire,
  write: (writer, value) => writer.double(value),
  read: (reader) => reader.double(),
  absent: () => 0,
};

export const text: FieldType<string> = {
  wireType: bytesWire,
  write: (writer, value) => writer.text(value),
  read: (reader) => reader.text(),
  absent: () => '',
};

/** A type seen through a checked constructor: what it throws makes the message malformed. */
export function mapped<Wire, Value>(
  type: FieldType<Wire>,
  fromWire: (wire: Wire) => Value,
  toWire: (value: Value) => Wire,
): FieldType<Value> {
  const checked = (wire: Wire): Value => {
    try {
      return fromWire(wire);
    } catch (error) {
      if (error instanceof ProtobufError) throw error;
      throw new ProtobufError(error instanceof Error ? error.message : String(error));
    }
  };
  return {
    wireType: type.wireType,
    write: (writer, value) => type.write(writer, toWire(value)),
    read: (reader) => checked(type.read(reader)),
    absent: () => checked(type.absent()),
  };
}

/** A brand, or any other number type that its constructor checks. */
export const branded = <Value extends number>(type: FieldType<number>, check: (value: number) => Value) =>
  mapped<number, Value>(type, check, (value) => value);

/** Words as numbers from 1; 0 is what proto3 reserves for "not said". */
export function enumeration<Word extends string>(words: readonly Word[]): FieldType<Word> {
  return mapped<number, Word>(
    unsigned,
    (number) => {
      const word = words[number - 1];
      if (word === undefined) throw new ProtobufError(`no word of ${words.join('|')} has number ${number}`);
      return word;
    },
    (word) => words.indexOf(word) + 1,
  );
}

/** A field that is always there; proto3's zero value where it is not. */
export function field<Value>(number: number, type: FieldType<Value>): Field<Value> {
  return {
    number,
    write(writer, value) {
      writer.tag(number, type.wireType);
      type.write(writer, value);
    },
    read(reader, wireType) {
      expectWireType(wireType, type.wireType);
      return type.read(reader);
    },
    absent: () => type.absent(),
  };
}

/** proto3 `optional`: null is told by its absence. */
export function nullable<Value>(number: number, type: FieldType<Value>): Field<Value | null> {
  const inner = field(number, type);
  return {
    number,
    write(writer, value) {
      if (value !== null) inner.write(writer, value);
    },
    read: (reader, wireType) => inner.read(reader, wireType, undefined),
    absent: () => null,
  };
}

/** Numbers are packed, as proto3 does by default, and read either way. */
export function repeated<Value>(number: number, type: FieldType<Value>): Field<readonly Value[]> {
  const isPacked = type.wireType !== bytesWire;
  return {
    number,
    write(writer, values) {
      if (values.length === 0) return;
      if (isPacked) {
        const packed = new ProtobufWriter(values.length * 2 + 8);
        for (const value of values) type.write(packed, value);
        writer.tag(number, bytesWire);
        writer.delimited(packed.bytes());
        return;
      }
      for (const value of values) {
        writer.tag(number, bytesWire);
        type.write(writer, value);
      }
    },
    read(reader, wireType, before) {
      // Only the reader of the message that is being read holds `values`.
      const values = (before ?? []) as Value[];
      if (isPacked && wireType === bytesWire) {
        for (const packed = reader.nested(); !packed.isAtEnd; ) values.push(type.read(packed));
      } else {
        expectWireType(wireType, type.wireType);
        values.push(type.read(reader));
      }
      return values;
    },
    absent: () => [],
  };
}

/** proto3 `map<string, string>`: a repeated message of key = 1 and value = 2. */
export function textMap(number: number): Field<Readonly<Record<string, string>>> {
  const entry = message<{ key: string; value: string }>({ key: field(1, text), value: field(2, text) });
  return {
    number,
    write(writer, values) {
      for (const [key, value] of Object.entries(values)) {
        writer.tag(number, bytesWire);
        entry.write(writer, { key, value });
      }
    },
    read(reader, wireType, before) {
      expectWireType(wireType, bytesWire);
      const { key, value } = entry.read(reader);
      const values = before ?? {};
      // Not by assignment: `__proto__` is a key like any other.
      Object.defineProperty(values, key, { value, enumerable: true, configurable: true, writable: true });
      return values;
    },
    absent: () => ({}),
  };
}

/** A type that is a whole message as well as a value inside one. */
export interface MessageType<Value> extends FieldType<Value> {
  encode(value: Value): Buffer;
  /** The message in `bytes`, or ProtobufError. */
  decode(bytes: Buffer): Value;
}

function messageType<Value>(
  writeBody: (body: ProtobufWriter, value: Value) => void,
  readBody: (body: ProtobufReader) => Value,
  absent: () => Value,
): MessageType<Value> {
  const encode = (value: Value): Buffer => {
    const body = new ProtobufWriter();
    writeBody(body, value);
    return body.bytes();
  };
  return {
    wireType: bytesWire,
    encode,
    decode: (bytes) => readBody(new ProtobufReader(bytes)),
    write: (writer, value) => writer.delimited(encode(value)),
    read: (reader) => readBody(reader.nested()),
    absent,
  };
}

/** A message from its table of fields. One that is absent is an error: ours are always written. */
export function message<Shape extends object>(fields: FieldsOf<Shape>): MessageType<Shape> {
  const names = Object.keys(fields) as (keyof Shape & string)[];
  const nameOfNumber = new Map(names.map((name) => [fields[name].number, name]));
  return messageType<Shape>(
    (body, value) => {
      for (const name of names) fields[name].write(body, value[name]);
    },
    (body) => {
      const shape: Partial<Shape> = {};
      while (!body.isAtEnd) {
        const tag = body.varint();
        const name = nameOfNumber.get(Math.floor(tag / 8));
        if (name === undefined) body.skip(tag % 8);
        else shape[name] = fields[name].read(body, tag % 8, shape[name]);
      }
      for (const name of names) if (!Object.hasOwn(shape, name)) shape[name] = fields[name].absent();
      return shape as Shape;
    },
    () => {
      throw new ProtobufError('a message is missing');
    },
  );
}

/** The cases of a union by their `kind`, each a message of what else the case has. */
export type CasesOf<Union extends { readonly kind: string }> = {
  readonly [Kind in Union['kind']]: Field<Omit<Extract<Union, { readonly kind: Kind }>, 'kind'>>;
};

/** proto3 `oneof`: a message with exactly one of these fields. None, or one of a newer version, reads as null. */
export function oneOf<Union extends { readonly kind: string }>(cases: CasesOf<Union>): MessageType<Union | null> {
  const kinds = Object.keys(cases) as Union['kind'][];
  const fieldOf = (kind: Union['kind']): Field<object> => cases[kind] as unknown as Field<object>;
  const kindOfNumber = new Map(kinds.map((kind) => [fieldOf(kind).number, kind]));
  return messageType<Union | null>(
    (body, value) => {
      if (value !== null) fieldOf(value.kind).write(body, value);
    },
    (body) => {
      let found: Union | null = null;
      while (!body.isAtEnd) {
        const tag = body.varint();
        const kind = kindOfNumber.get(Math.floor(tag / 8));
        if (kind === undefined) body.skip(tag % 8);
        else found = { kind, ...fieldOf(kind).read(body, tag % 8, undefined) } as unknown as Union;
      }
      return found;
    },
    () => null,
  );
}

/** For a place that needs the case: one that this version does not know makes the message malformed. */
export const known = <Value>(type: FieldType<Value | null>): FieldType<Value> =>
  mapped<Value | null, Value>(
    type,
    (value) => {
      if (value === null) throw new ProtobufError('a case that this version does not know');
      return value;
    },
    (value) => value,
  );
