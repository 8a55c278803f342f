/**
 * How many offset commits a second, and how long does one take? Lanes, each a group of its own with one commit of one
 * partition under way, standalone (no member, as tools and streaming engines commit). Frames are encoded once and only
 * their offset is changed, answers are compared with the first good one: the generator is not to be the limit.
 */
import { performance } from 'node:perf_hooks';
import { offsetCommitApi } from '../../src/wire/messages/08-offset-commit.ts';
import { decodeResponse, encodeRequest } from '../../src/wire/request-response.ts';
import { sleepMs } from '../support/raw-cluster.ts';
import { RawConnection } from '../support/raw-connection.ts';
import { type Address, coordinatorsOf } from './group-members.ts';
import { type LatencySummary, summariseLatencies } from './percentiles.ts';

const version = 9;
/** Stands in the encoded frame where the offset goes. */
const placeholder = 0x1122_3344_5566_7788n;

export interface CommitCount {
  commits: number;
  seconds: number;
  latencyMs: LatencySummary;
  /** Of this process, over the same span. */
  cpuSeconds: number;
}

export interface CommitLoad {
  broker: Address;
  topic: string;
  partitions: number;
  lanes: number;
  warmupSeconds: number;
  seconds: number;
  onMeasuring: () => void;
}

function commitFrame(groupId: string, topic: string, partitionIndex: number): { frame: Buffer; at: number } {
  const partitions = [{ partitionIndex, committedOffset: placeholder, committedMetadata: '' }];
  const body = { groupId, topics: [{ name: topic, partitions }] };
  const header = { correlationId: 1, clientId: 'bench' };
  const frame = Buffer.concat(encodeRequest(offsetCommitApi, version, header, body).chunks);
  const mark = Buffer.alloc(8);
  mark.writeBigInt64BE(placeholder);
  return { frame, at: frame.indexOf(mark) };
}

function errorOf(answer: Buffer): number | undefined {
  const { body } = decodeResponse(offsetCommitApi, version, answer, { allowTrailingBytes: false });
  return body.topics[0]?.partitions[0]?.errorCode;
}

/** Throws when the answer is no success. */
function assertCommitted(answer: Buffer): void {
  const error = errorOf(answer);
  if (error !== 0) throw new Error(`OffsetCommit: error ${error}`);
}

/** A connection to the coordinator of each group, each of which has taken a commit: a fresh cluster moves them about. */
async function connect(load: CommitLoad, groups: readonly string[]): Promise<RawConnection[]> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const coordinators = await coordinatorsOf(load.broker, groups);
    const connections = await Promise.all(coordinators.map(({ host, port }) => RawConnection.open(host, port)));
    const answers = await Promise.all(
      connections.map((connection, lane) => {
        const { frame, at } = commitFrame(groups[lane] ?? '', load.topic, lane % load.partitions);
        frame.writeBigInt64BE(0n, at);
        return connection.request(frame);
      }),
    );
    const errors = answers.map(errorOf);
    if (errors.every((error) => error === 0)) return connections;
    for (const connection of connections) connection.close();
    if (performance.now() > deadline) throw new Error(`OffsetCommit: errors ${[...new Set(errors)]}`);
    await sleepMs(200);
  }
}

export async function runCommitLoad(load: CommitLoad): Promise<CommitCount> {
  const groups = Array.from({ length: load.lanes }, (_, lane) => `${load.topic}-commit-${lane}`);
  const connections = await connect(load, groups);
  const latencies: number[] = [];
  const startMs = performance.now();
  const measureFromMs = startMs + load.warmupSeconds * 1000;
  const endMs = measureFromMs + load.seconds * 1000;
  let cpuBefore = process.cpuUsage();
  let isMeasuring = false;

  const lanes = connections.map((connection, lane) => {
    const { frame, at } = commitFrame(groups[lane] ?? '', load.topic, lane % load.partitions);
    let good: Buffer | null = null;
    return new Promise<void>((resolve, reject) => {
      let offset = 0n;
      const next = (): void => {
        const sentMs = performance.now();
        if (sentMs >= endMs) return resolve();
        if (!isMeasuring && sentMs >= measureFromMs) {
          isMeasuring = true;
          cpuBefore = process.cpuUsage();
          load.onMeasuring();
        }
        frame.writeBigInt64BE(++offset, at);
        connection.send(
          Buffer.from(frame),
          (answer) => {
            try {
              if (good === null || !answer.equals(good)) {
                assertCommitted(answer);
                good = Buffer.from(answer);
              }
            } catch (error) {
              return reject(error);
            }
            if (sentMs >= measureFromMs) latencies.push(performance.now() - sentMs);
            next();
          },
          reject,
        );
      };
      next();
    });
  });
  try {
    await Promise.all(lanes);
  } finally {
    for (const connection of connections) connection.close();
  }
  const seconds = (performance.now() - measureFromMs) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  const latencyMs = summariseLatencies(Float64Array.from(latencies));
  return { commits: latencies.length, seconds, latencyMs, cpuSeconds: (user + system) / 1e6 };
}
