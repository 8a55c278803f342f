/** What does a results file hold, how is a run told in one line, and how do two files compare? */
import { readFileSync, writeFileSync } from 'node:fs';
import { type LatencySummary, median } from './percentiles.ts';

export interface RunResult {
  /** The parameters that matter, in one line; runs of the same name are repeats of each other. */
  name: string;
  /** ISO time of its end. */
  at: string;
  parameters: Readonly<Record<string, string | number>>;
  result: {
    seconds: number;
    /** Bytes of record values, as Kafka's own load program counts them. */
    valueBytes: number;
    records: number;
    requests: number;
    /** Millions of value bytes a second. */
    megabytesPerSecond: number;
    recordsPerSecond: number;
    /** Share of one core that the generator took: near 1 it was the limit, and the run says nothing of the broker. */
    generatorCpuShare: number;
    latencyMs: LatencySummary | null;
    /** Null without --pids. Arrays have one entry per pid. */
    brokers: {
      /** CPU of all brokers together for 1e9 value bytes. */
      cpuSecondsPerGigabyte: number;
      /** CPU of all brokers together over elapsed time; 1 is one core. */
      cpuShare: number;
      residentBytesBefore: number[];
      residentBytesAfter: number[];
      peakResidentBytes: number[];
    } | null;
  };
}

/** `bench start`: one start of a broker or cluster. */
export interface StartResult {
  name: string;
  at: string;
  parameters: Readonly<Record<string, string | number>>;
  startMs: { toFirstConnection: number; toMetadata: number; toFirstAcknowledgement: number };
}

export interface ResultsFile {
  label: string;
  runs: RunResult[];
  starts: StartResult[];
}

export const emptyResults = (label: string): ResultsFile => ({ label, runs: [], starts: [] });

export function readResults(path: string): ResultsFile {
  const parsed: Partial<ResultsFile> = JSON.parse(readFileSync(path, 'utf8'));
  if (!Array.isArray(parsed.runs) || !Array.isArray(parsed.starts))
    throw new Error(`${path} is no results file of this bench`);
  return { label: parsed.label ?? path, runs: parsed.runs, starts: parsed.starts };
}

export const writeResults = (path: string, results: ResultsFile): void =>
  writeFileSync(path, `${JSON.stringify(results, null, 2)}\n`);

const mebibytes = (bytes: readonly number[]): string => bytes.map((one) => Math.round(one / 2 ** 20)).join('/');
const fixed = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);

export function describeRun({ name, result }: RunResult): string {
  const parts = [`${fixed(result.megabytesPerSecond)} MB/s`, `${Math.round(result.recordsPerSecond)} records/s`];
  const { latencyMs, brokers } = result;
  if (latencyMs !== null)
    parts.push(
      `p50 ${fixed(latencyMs.p50)} p99 ${fixed(latencyMs.p99)} p99.9 ${fixed(latencyMs.p999)} max ${fixed(latencyMs.max)} ms`,
    );
  if (brokers !== null)
    parts.push(
      `brokers ${fixed(brokers.cpuSecondsPerGigabyte)} CPU s/GB (${fixed(brokers.cpuShare)} cores)`,
      `RSS ${mebibytes(brokers.residentBytesBefore)} → ${mebibytes(brokers.residentBytesAfter)} MiB`,
    );
  parts.push(`generator ${fixed(result.generatorCpuShare)} cores`);
  return `${name}: ${parts.join(', ')}`;
}

export function describeStart({ name, startMs }: StartResult): string {
  const { toFirstConnection, toMetadata, toFirstAcknowledgement } = startMs;
  return `${name}: first acknowledgement after ${Math.round(toFirstAcknowledgement)} ms (connection ${Math.round(toFirstConnection)}, metadata ${Math.round(toMetadata)})`;
}

export interface Comparison {
  name: string;
  metric: string;
  a: number;
  b: number;
  /** b / a. */
  ratio: number;
}

type Metric = [name: string, of: (run: RunResult) => number | null | undefined];
const sum = (values: readonly number[] | undefined): number | undefined =>
  values?.reduce((total, one) => total + one, 0);
const metrics: readonly Metric[] = [
  ['MB/s', ({ result }) => (result.latencyMs === null ? result.megabytesPerSecond : null)],
  ['p50 ms', ({ result }) => result.latencyMs?.p50],
  ['p99 ms', ({ result }) => result.latencyMs?.p99],
  ['p99.9 ms', ({ result }) => result.latencyMs?.p999],
  ['CPU s/GB', ({ result }) => result.brokers?.cpuSecondsPerGigabyte],
  ['RSS before, MiB', ({ result }) => divided(sum(result.brokers?.residentBytesBefore))],
  ['RSS after, MiB', ({ result }) => divided(sum(result.brokers?.residentBytesAfter))],
];
const divided = (bytes: number | undefined): number | undefined => (bytes === undefined ? undefined : bytes / 2 ** 20);

/** Every metric of every run name that both files have, repeats as their median. */
export function compareResults(a: ResultsFile, b: ResultsFile): Comparison[] {
  const comparisons: Comparison[] = [];
  const add = (name: string, metric: string, left: number[], right: number[]): void => {
    if (left.length === 0 || right.length === 0) return;
    const [medianA, medianB] = [median(left), median(right)];
    comparisons.push({ name, metric, a: medianA, b: medianB, ratio: medianB / medianA });
  };
  for (const name of new Set(a.runs.map((run) => run.name)))
    for (const [metric, of] of metrics) {
      const values = (file: ResultsFile): number[] =>
        file.runs.filter((run) => run.name === name).flatMap((run) => of(run) ?? []);
      add(name, metric, values(a), values(b));
    }
  for (const name of new Set(a.starts.map((start) => start.name))) {
    const values = (file: ResultsFile): number[] =>
      file.starts.filter((start) => start.name === name).map(({ startMs }) => startMs.toFirstAcknowledgement);
    add(name, 'start to first ack, ms', values(a), values(b));
  }
  return comparisons;
}

/** A table for people: `b` over `a` in the last column. */
export function formatComparison(labels: readonly [string, string], comparisons: readonly Comparison[]): string {
  const rows = [
    ['run', 'metric', labels[0], labels[1], 'ratio'],
    ...comparisons.map(({ name, metric, a, b, ratio }) => [name, metric, fixed(a), fixed(b), `${ratio.toFixed(2)}x`]),
  ];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: string[]): string =>
    row
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ');
  return rows.map(line).join('\n');
}
