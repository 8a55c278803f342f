/** Which latency do so many of the records stay under? Exact, by nearest rank over every sample. */
export interface LatencySummary {
  count: number;
  p50: number;
  p99: number;
  p999: number;
  max: number;
}

/** `samples` in milliseconds; sorts them in place. All fields are 0 when there are none. */
export function summariseLatencies(samples: Float64Array): LatencySummary {
  samples.sort();
  const at = (share: number): number => samples[Math.max(0, Math.ceil(share * samples.length) - 1)] ?? 0;
  return { count: samples.length, p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) };
}

/** The middle value; of an even number, the mean of the two in the middle. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = Math.floor(sorted.length / 2);
  const high = sorted[upper] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[upper - 1] ?? Number.NaN) + high) / 2;
}
