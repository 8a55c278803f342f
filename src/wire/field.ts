/**
 * How is a Kafka message described? Fields in wire order, each a type with the versions that have it:
 *
 *     { topic: string('0-12'), topicId: uuid('13+'), partitions: array('0+', { partition: int32('0+'), … }) }
 *
 * From one description come the reader, the writer (`compile.ts`) and the TypeScript types: `Decoded` is what
 * reading gives, `Given` what writing takes. The words are those of Kafka's message definitions (`versions`,
 * `nullable` for nullableVersions, `tag` with the versions that write it as a tagged field, KIP-482).
 *
 * A field that a version does not have reads as its default and is left out when written, whatever was given:
 * a handler fills in all it knows once, for all versions. (Kafka refuses that unless the field is `ignorable`.)
 */
import { parseVersionRange, type VersionRange } from './version-range.ts';

interface PrimitiveTypes {
  bool: { decoded: boolean; given: boolean };
  int8: { decoded: number; given: number };
  int16: { decoded: number; given: number };
  uint16: { decoded: number; given: number };
  int32: { decoded: number; given: number };
  /** A number must be a safe integer. */
  int64: { decoded: bigint; given: bigint | number };
  float64: { decoded: number; given: number };
  /** 22 characters of base64url; all zero (`zeroUuid`) means none. */
  uuid: { decoded: string; given: string };
  string: { decoded: string; given: string };
  /** A view into the frame, not a copy. */
  bytes: { decoded: Buffer; given: Buffer };
  /** Record batches, as `bytes`; may be given in pieces that are sent one after the other without being joined. */
  records: { decoded: Buffer; given: Buffer | readonly Buffer[] };
}

export type Primitive = keyof PrimitiveTypes;
export type Fields = { readonly [name: string]: Field };
/** What an array holds: a primitive by name, or a struct by its fields. */
export type Element = Primitive | Fields;

export type FieldType =
  | { readonly kind: 'primitive'; readonly primitive: Primitive }
  | { readonly kind: 'struct'; readonly fields: Fields }
  | { readonly kind: 'array'; readonly element: Element };

export interface Field<Out = unknown, In = unknown> {
  readonly type: FieldType;
  readonly versions: VersionRange;
  /** Versions in which null may be written. */
  readonly nullable: VersionRange | null;
  /** The number of a tagged field; null for one that has its place in the order. */
  readonly tag: number | null;
  /** Undefined: the type's own default (0, false, '', no elements, a struct of defaults). */
  readonly default: unknown;
  /** These exist for the type checker alone. */
  readonly decoded?: Out;
  readonly given?: In;
}

/** What reading a struct of these fields gives: every field, defaults for those that the version lacks. */
export type Decoded<F extends Fields> = {
  readonly [Name in keyof F]: F[Name] extends Field<infer Out, infer _> ? Out : never;
};

/** What writing takes: any field may be left out and is its default then. A decoded struct is one too. */
export type Given<F extends Fields> = {
  readonly [Name in keyof F]?: F[Name] extends Field<infer _, infer In> ? In | undefined : never;
};

/** The type of an array's elements: `Item<FetchRequest['topics']>`. */
export type Item<Array> = NonNullable<Array> extends readonly (infer Element)[] ? Element : never;

interface Options<Value> {
  nullable?: string;
  tag?: number;
  default?: Value | null;
}

type OrNull<O, Value> = O extends { nullable: string } ? Value | null : Value;
type ElementOut<E> = E extends Primitive ? PrimitiveTypes[E]['decoded'] : E extends Fields ? Decoded<E> : never;
type ElementIn<E> = E extends Primitive ? PrimitiveTypes[E]['given'] : E extends Fields ? Given<E> : never;

function field<Out, In>(type: FieldType, versions: string, options: Options<unknown> = {}): Field<Out, In> {
  return {
    type,
    versions: parseVersionRange(versions),
    nullable: options.nullable === undefined ? null : parseVersionRange(options.nullable),
    tag: options.tag ?? null,
    default: options.default,
  };
}

const primitive =
  <P extends Primitive>(name: P) =>
  <O extends Options<PrimitiveTypes[P]['decoded']>>(versions: string, options?: O) =>
    field<OrNull<O, PrimitiveTypes[P]['decoded']>, OrNull<O, PrimitiveTypes[P]['given']>>(
      { kind: 'primitive', primitive: name },
      versions,
      options,
    );

export const bool = primitive('bool');
export const int8 = primitive('int8');
export const int16 = primitive('int16');
export const uint16 = primitive('uint16');
export const int32 = primitive('int32');
export const int64 = primitive('int64');
export const float64 = primitive('float64');
export const uuid = primitive('uuid');
export const string = primitive('string');
export const bytes = primitive('bytes');
export const records = primitive('records');

export function struct<F extends Fields, O extends Options<never>>(versions: string, fields: F, options?: O) {
  return field<OrNull<O, Decoded<F>>, OrNull<O, Given<F>>>({ kind: 'struct', fields }, versions, options);
}

export function array<E extends Element, O extends Options<never>>(versions: string, element: E, options?: O) {
  return field<OrNull<O, readonly ElementOut<E>[]>, OrNull<O, readonly ElementIn<E>[]>>(
    { kind: 'array', element },
    versions,
    options,
  );
}
