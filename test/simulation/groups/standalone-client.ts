/** A client that is no member: commits offsets of a group without members, or asks for those of any group, as tools do. */

import { isRefused } from '../../../src/coordinator/group-requests.ts';
import type { SimulatedProcess } from '../simulated-process.ts';
import { GroupConnection } from './group-connection.ts';
import { ReadPositions } from './read-positions.ts';
import type { SimulatedGroups } from './simulated-groups.ts';
import { workTopic } from './work-topic.ts';

export class StandaloneCommitter {
  readonly groupId: string;
  readonly #groups: SimulatedGroups;
  readonly #connection: GroupConnection;
  readonly #process: SimulatedProcess;
  readonly #positions: ReadPositions;
  readonly #everyMs: number;
  committedMs = -1;

  constructor(groups: SimulatedGroups, groupId: string) {
    this.groupId = groupId;
    this.#groups = groups;
    this.#process = groups.newClient();
    this.#connection = new GroupConnection(groups, this.#process, `committer of ${groupId}`, groupId);
    this.#positions = new ReadPositions(groups, groupId);
    this.#everyMs = groups.world.random.pick([100, 400, 2_000]);
    for (let partition = 0; partition < groups.workPartitions; partition++) this.#positions.begin(partition, -1);
    this.#commitLater();
  }

  #commitLater(): void {
    this.#process.after(this.#groups.world.random.next() * 2 * this.#everyMs, () => {
      this.#positions.poll();
      const who = { generationOrMemberEpoch: -1, memberId: '', instanceId: null };
      const request = this.#positions.commitOf(this.#positions.snapshot(who));
      if (request === null) return this.#commitLater();
      this.#connection.ask(request, 500, (answer) => {
        if (answer !== null && !isRefused(answer)) this.committedMs = this.#groups.world.scheduler.nowMs;
        this.#commitLater();
      });
    });
  }
}

export class StandaloneReader {
  readonly #groups: SimulatedGroups;
  readonly #process: SimulatedProcess;
  readonly #connections: ReadonlyMap<string, GroupConnection>;
  readonly #everyMs: number;

  constructor(groups: SimulatedGroups, name: string, groupIds: readonly string[]) {
    this.#groups = groups;
    this.#process = groups.newClient();
    this.#connections = new Map(
      groupIds.map((groupId) => [groupId, new GroupConnection(groups, this.#process, name, groupId)]),
    );
    this.#everyMs = groups.world.random.pick([60, 150, 400]);
    this.#readLater();
  }

  #readLater(): void {
    const { random } = this.#groups.world;
    this.#process.after(random.next() * 2 * this.#everyMs, () => {
      const [groupId, connection] = random.pick([...this.#connections]);
      const partitions = Array.from({ length: this.#groups.workPartitions }, (_, i) => i);
      const topics = random.chance(0.5) ? null : [{ topic: workTopic, partitions }];
      connection.ask(
        { kind: 'offsetFetch', groupId, memberId: null, memberEpoch: -1, topics, requireStable: false },
        500,
        () => undefined,
      );
      this.#readLater();
    });
  }
}

/** Somebody who deletes groups, or offsets of theirs: refused, where a group has members or a member reads the topic. */
export class StandaloneAdmin {
  readonly #groups: SimulatedGroups;
  readonly #process: SimulatedProcess;
  readonly #groupIds: readonly string[];

  constructor(groups: SimulatedGroups, groupIds: readonly string[]) {
    this.#groups = groups;
    this.#process = groups.newClient();
    this.#groupIds = groupIds;
    this.#deleteLater();
  }

  #deleteLater(): void {
    const { world, deletedByHand } = this.#groups;
    const { random } = world;
    this.#process.after(random.between(200, 2_000), () => {
      if (world.isHealing) return;
      const groupId = random.pick(this.#groupIds);
      deletedByHand.add(groupId);
      const connection = new GroupConnection(this.#groups, this.#process, 'admin', groupId);
      const topics = [{ topic: workTopic, partitions: [random.below(this.#groups.workPartitions)] }];
      connection.ask(
        random.chance(0.5) ? { kind: 'deleteGroup', groupId } : { kind: 'offsetDelete', groupId, topics },
        1_000,
        () => this.#deleteLater(),
      );
    });
  }
}
