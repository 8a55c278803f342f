/** What is a message? Named fields with the versions it has and those that are flexible; read and written by version. */
import { ByteReader, defaultMaxElements } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import type { Codec } from './codec.ts';
import { compileMessage } from './compile.ts';
import type { Decoded, Fields, Given } from './field.ts';
import { inRange, parseVersionRange, type VersionRange } from './version-range.ts';
import { inField, WireError } from './wire-error.ts';

export interface MessageVersions {
  /** Versions described, as Kafka writes them: `4-18`. */
  readonly versions: string;
  /** Versions with compact lengths and tagged fields (KIP-482): `12+` or `none`. */
  readonly flexible: string;
}

export interface DecodeOptions {
  /** Whether bytes after the message are passed over instead of refused. Default: refused. */
  readonly allowTrailingBytes?: boolean;
  /** Elements over all arrays of the message; more are refused. Default 1,000,000. */
  readonly maxElements?: number;
}

export class Message<F extends Fields = Fields> {
  /** As it appears in errors: `FetchRequest`. */
  readonly name: string;
  readonly versions: VersionRange;
  readonly flexible: VersionRange;
  readonly fields: F;
  readonly #codecs: Codec<Record<string, unknown>>[] = [];

  constructor(name: string, range: MessageVersions, fields: F) {
    this.name = name;
    this.versions = parseVersionRange(range.versions);
    this.flexible = parseVersionRange(range.flexible);
    this.fields = fields;
  }

  hasVersion(version: number): boolean {
    return inRange(this.versions, version);
  }

  /** Compiled on first use. @throws RangeError for a version that is not described: ask `hasVersion` before. */
  #codec(version: number): Codec<Record<string, unknown>> {
    const known = this.#codecs[version];
    if (known !== undefined) return known;
    if (!Number.isInteger(version) || !this.hasVersion(version))
      throw new RangeError(`${this.name} has no version ${version}`);
    const compiled = compileMessage(this.fields, version, this.flexible);
    this.#codecs[version] = compiled;
    return compiled;
  }

  /**
   * Reads a message that fills `buffer` from `position` to its end.
   * @throws WireError when the bytes are not such a message.
   */
  decode(version: number, buffer: Buffer, position = 0, options: DecodeOptions = {}): Decoded<F> {
    const codec = this.#codec(version);
    const reader = new ByteReader(buffer, position, options.maxElements ?? defaultMaxElements);
    try {
      const value = codec.read(reader);
      if (reader.left > 0 && options.allowTrailingBytes !== true)
        throw new WireError(`${reader.left} bytes after its end at byte ${reader.position}`);
      return value as Decoded<F>;
    } catch (error) {
      throw inField(`${this.name} v${version}`, error);
    }
  }

  /** Appends a message to `writer`. @throws EncodeError when a value does not fit its field. */
  write(writer: ByteWriter, version: number, value: Given<F>): void {
    const codec = this.#codec(version);
    try {
      codec.write(writer, value);
    } catch (error) {
      throw inField(`${this.name} v${version}`, error);
    }
  }
}

export function message<F extends Fields>(name: string, range: MessageVersions, fields: F): Message<F> {
  return new Message(name, range, fields);
}

/** What decoding gives: `type FetchRequest = Infer<typeof fetchApi.request>`. */
export type Infer<M> = M extends Message<infer F> ? Decoded<F> : never;
/** What encoding takes: every field may be left out. */
export type Input<M> = M extends Message<infer F> ? Given<F> : never;
