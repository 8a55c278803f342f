/**
 * One configuration key: its name, type, default, range and meaning. Tables of these are the single source of
 * validation, of DescribeConfigs and of the documentation.
 */

/** Kafka's types, with the numbers DescribeConfigs uses for them. */
export const configTypeNumber = {
  boolean: 1,
  string: 2,
  int: 3,
  short: 4,
  long: 5,
  double: 6,
  list: 7,
  class: 8,
  password: 9,
} as const;
export type ConfigType = keyof typeof configTypeNumber;

export type ConfigValue = boolean | number | string | readonly string[] | null;

export interface ConfigKey<Value extends ConfigValue = ConfigValue> {
  readonly name: string;
  readonly type: ConfigType;
  /** null where there is none: the key is unset unless somebody sets it. */
  readonly default: Value;
  readonly doc: string;
  /** Lowest and highest number allowed, both inclusive. */
  readonly min?: number;
  readonly max?: number;
  /** The only texts allowed (for a list: of each element). */
  readonly oneOf?: readonly string[];
  /** Anything else wrong with a value, as a sentence; null when it is right. */
  readonly problem?: (value: Value) => string | null;
}

/** A value that cannot stand: which key, which value, and why. */
export class ConfigError extends Error {
  override name = 'ConfigError';
  readonly key: string;
  readonly reason: string;
  constructor(key: string, value: string | null, reason: string) {
    super(value === null ? `${key}: ${reason}` : `${key}=${value}: ${reason}`);
    this.key = key;
    this.reason = reason;
  }
}

const widest = { int: [-(2 ** 31), 2 ** 31 - 1], short: [-(2 ** 15), 2 ** 15 - 1] } as const;
/** Kafka’s Long.MAX_VALUE, which stands for "no limit"; as a number it is anything from 2^53 - 1 up. */
const longMax = 9223372036854775807n;
const longMin = -9223372036854775808n;

function parseNumber(key: ConfigKey, text: string): number {
  const fail = (reason: string): never => {
    throw new ConfigError(key.name, text, reason);
  };
  if (key.type === 'double') {
    const value = Number(text);
    return text.trim() === '' || !Number.isFinite(value) ? fail('is not a number') : value;
  }
  if (!/^[+-]?\d+$/.test(text)) return fail('is not a whole number');
  const exact = BigInt(text);
  if (exact > longMax || exact < longMin) return fail('does not fit 64 bits');
  const value = Number(exact);
  if (key.type === 'int' || key.type === 'short') {
    const [low, high] = widest[key.type];
    if (value < low || value > high) return fail(`does not fit ${key.type === 'int' ? 32 : 16} bits`);
  }
  return value;
}

/** The value that `text` stands for, or a ConfigError that says why it cannot. */
export function parseConfigValue(key: ConfigKey, text: string): ConfigValue {
  const trimmed = text.trim();
  const fail = (reason: string): never => {
    throw new ConfigError(key.name, text, reason);
  };
  const allowed = (one: string): string =>
    key.oneOf && !key.oneOf.includes(one) ? fail(`must be one of ${key.oneOf.join(', ')}`) : one;
  let value: ConfigValue;
  switch (key.type) {
    case 'boolean': {
      const lower = trimmed.toLowerCase();
      value = lower === 'true' ? true : lower === 'false' ? false : fail('must be true or false');
      break;
    }
    case 'int':
    case 'short':
    case 'long':
    case 'double': {
      const number = parseNumber(key, trimmed);
      if (key.min !== undefined && number < key.min) fail(`must be at least ${key.min}`);
      if (key.max !== undefined && number > key.max) fail(`must be at most ${key.max}`);
      value = number;
      break;
    }
    case 'list':
      value = trimmed === '' ? [] : trimmed.split(',').map((element) => allowed(element.trim()));
      break;
    case 'string':
    case 'class':
    case 'password':
      value = allowed(trimmed);
      break;
  }
  const problem = key.problem?.(value);
  if (problem) fail(problem);
  return value;
}

/** How a value is written: what DescribeConfigs answers. */
export function formatConfigValue(value: ConfigValue): string | null {
  if (value === null) return null;
  if (typeof value === 'number' && value >= Number.MAX_SAFE_INTEGER) return longMax.toString();
  return Array.isArray(value) ? value.join(',') : String(value);
}
