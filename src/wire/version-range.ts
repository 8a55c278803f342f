/** Which versions of a message have a field: Kafka's text form (`4+`, `0-14`, `3`, `none`) and its meaning. */
export interface VersionRange {
  /** Inclusive. */
  readonly lowest: number;
  /** Inclusive; Infinity for `4+`. */
  readonly highest: number;
}

export const noVersions: VersionRange = { lowest: Infinity, highest: -Infinity };

/** @throws RangeError for text that is no range: a description is wrong, at start-up. */
export function parseVersionRange(text: string): VersionRange {
  if (text === 'none') return noVersions;
  const match = /^(\d+)(?:(\+)|-(\d+))?$/.exec(text);
  if (match === null) throw new RangeError(`not a version range: ${text}`);
  const lowest = Number(match[1]);
  const highest = match[2] === '+' ? Infinity : Number(match[3] ?? match[1]);
  if (highest < lowest) throw new RangeError(`an empty version range: ${text}`);
  return { lowest, highest };
}

export const inRange = (range: VersionRange, version: number): boolean =>
  version >= range.lowest && version <= range.highest;
