/**
 * How is a record shown? A format as rpk and kcat have it, cut into pieces once: %k key, %v (or %s) value, %t topic,
 * %p partition, %o offset, %T timestamp in ms, %h headers as name=value, %% a percent sign; \n \t \r \0 \\ as in C.
 * Keys and values go out as the bytes they are.
 */
import { CliError, exitCode } from '../exit-code.ts';

export interface ShownRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly (readonly [Buffer | null, Buffer | null])[];
}

type Piece = (record: ShownRecord) => Buffer;

const empty = Buffer.alloc(0);
const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', 0: '\0', '\\': '\\' };

const pieces: Readonly<Record<string, Piece>> = {
  k: (record) => record.key ?? empty,
  v: (record) => record.value ?? empty,
  s: (record) => record.value ?? empty,
  t: (record) => Buffer.from(record.topic),
  p: (record) => Buffer.from(String(record.partition)),
  o: (record) => Buffer.from(String(record.offset)),
  T: (record) => Buffer.from(String(record.timestamp)),
  h: (record) => Buffer.from(record.headers.map(([name, value]) => `${name ?? ''}=${value ?? ''}`).join(',')),
  '%': () => Buffer.from('%'),
};

/** Throws what makes a usage error, naming the part that makes no sense. */
export function compileFormat(format: string): (record: ShownRecord) => Buffer {
  const compiled: Piece[] = [];
  for (const [part] of format.matchAll(/%.?|\\.?|[^%\\]+/gs)) {
    if (part.startsWith('%')) {
      const piece = pieces[part.slice(1)];
      if (piece === undefined) throw new CliError(`--format: ${part} has no meaning (see --help)`, exitCode.usage);
      compiled.push(piece);
      continue;
    }
    const escaped = part.startsWith('\\') ? escapes[part.slice(1)] : part;
    if (escaped === undefined) throw new CliError(`--format: ${part} has no meaning (see --help)`, exitCode.usage);
    const text = Buffer.from(escaped);
    compiled.push(() => text);
  }
  return (record) => Buffer.concat(compiled.map((piece) => piece(record)));
}

/** One line of JSON; text where the bytes are UTF-8, `{ "base64": … }` where they are not. */
export function jsonOf(record: ShownRecord): Buffer {
  const { key, value, headers, ...rest } = record;
  return Buffer.from(
    `${JSON.stringify({
      ...rest,
      key: textOf(key),
      value: textOf(value),
      headers: headers.map(([name, content]) => [textOf(name), textOf(content)]),
    })}\n`,
  );
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(bytes: Buffer | null): string | { base64: string } | null {
  if (bytes === null) return null;
  try {
    return utf8.decode(bytes);
  } catch {
    return { base64: bytes.toString('base64') };
  }
}
