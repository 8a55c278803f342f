/** A member by the wire alone, of either protocol; see report.ts. It tells the generation of all that it does. */
import { errorCodes } from '../../../src/wire/error-codes.ts';
import { offsetCommitApi } from '../../../src/wire/messages/08-offset-commit.ts';
import { offsetFetchApi } from '../../../src/wire/messages/09-offset-fetch.ts';
import { sleepMs } from '../raw-cluster.ts';
import { CoordinatorClient } from './coordinator-client.ts';
import { PartitionReader, type ReadPiece } from './partition-reader.ts';
import { ClassicMembership, type Membership, NewMembership, type Owned } from './raw-membership.ts';
import { type Place, tellAssigned, tellCommit, tellRead, untilAskedToLeave, wanted } from './report.ts';

const { brokers, group, name, protocol } = wanted;
const reader = new PartitionReader(brokers.join(','));
const heartbeats = new CoordinatorClient(brokers, group, name);
const offsets = new CoordinatorClient(brokers, group, name);
const membership: Membership =
  protocol === 'consumer'
    ? new NewMembership(wanted, heartbeats)
    : new ClassicMembership(wanted, heartbeats, (topic) => reader.countPartitions(topic));

const keyOf = ({ topic, partition }: Place): string => `${topic}:${partition}`;
type Positions = Map<string, { place: Place; offset: number }>;

/** Where to read on, of partitions that were not owned before. */
async function positionsOf(places: readonly Place[]): Promise<Positions> {
  const positions: Positions = new Map();
  if (places.length === 0) return positions;
  const topics = [...Map.groupBy(places, ({ topic }) => topic)].map(([name, all]) => ({
    name,
    partitionIndexes: all.map(({ partition }) => partition),
  }));
  const { groups } = await offsets.ask(
    offsetFetchApi,
    9,
    { groups: [{ groupId: group, topics }] },
    (answer) => answer.groups[0]?.errorCode ?? 0,
  );
  for (const { name: topic, partitions } of groups[0]?.topics ?? [])
    for (const { partitionIndex: partition, committedOffset } of partitions) {
      const place = { topic, partition };
      positions.set(keyOf(place), { place, offset: Math.max(0, Number(committedOffset)) });
    }
  return positions;
}

async function commit({ place: { topic, partition }, nextOffset }: ReadPiece, owned: Owned): Promise<void> {
  const partitions = [{ partitionIndex: partition, committedOffset: BigInt(nextOffset), committedMetadata: null }];
  const { topics } = await offsets.ask(
    offsetCommitApi,
    9,
    {
      ...{ groupId: group, memberId: owned.memberId, generationIdOrMemberEpoch: owned.generation },
      topics: [{ name: topic, partitions }],
    },
    (answer) => answer.topics[0]?.partitions[0]?.errorCode ?? 0,
  );
  const error = topics[0]?.partitions[0]?.errorCode;
  if (error !== errorCodes.NONE) throw new Error(`error ${error}`);
}

let isLeaving = false;

const positions: Positions = new Map();

/** What was lost is forgotten: by the time it comes back somebody else has read on. */
function onOwned({ generation, places }: Owned): void {
  const keys = new Set(places.map(keyOf));
  for (const key of positions.keys()) if (!keys.has(key)) positions.delete(key);
  tellAssigned(generation, places);
}

async function readOn(): Promise<void> {
  while (!isLeaving) {
    const { owned } = membership;
    if (owned === null || owned.places.length === 0) {
      await sleepMs(10);
      continue;
    }
    const fresh = await positionsOf(owned.places.filter((place) => !positions.has(keyOf(place))));
    if (membership.owned?.generation !== owned.generation) continue;
    // Partitions are given up within one epoch of the new protocol: some may have gone while this was asked.
    const kept = new Set(membership.owned.places.map(keyOf));
    for (const [key, position] of fresh) if (kept.has(key)) positions.set(key, position);
    const asked = new Map(positions);
    const pieces = await reader.read(asked).catch(() => []);
    for (const piece of pieces) {
      const key = keyOf(piece.place);
      const now = membership.owned;
      if (now === null || positions.get(key) !== asked.get(key)) continue;
      for (const { offset, value } of piece.records) tellRead(piece.place, String(offset), String(value));
      await tellCommit(
        piece.place,
        String(piece.nextOffset),
        () => now.generation,
        () => commit(piece, now),
      ).catch((error) => process.stderr.write(`${error}\n`));
      if (positions.get(key) === asked.get(key)) positions.set(key, { place: piece.place, offset: piece.nextOffset });
    }
    if (pieces.length === 0) await sleepMs(10);
  }
}

const member = membership.run(onOwned);
const reading = readOn();
await untilAskedToLeave();
isLeaving = true;
await reading;
await membership.leave();
await member.catch(() => undefined);
process.exit();
