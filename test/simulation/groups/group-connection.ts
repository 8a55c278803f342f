/**
 * A client's way to the coordinator of its group: found by the metadata of some broker, which may be old; requests are
 * carried out in the order in which they were sent, those on one connection as well as those on the next one. Requests
 * and answers can be lost, and then the client does not know what became of them.
 */

import type { AnswerTo, GroupAnswer, GroupRequest } from '../../../src/coordinator/group-requests.ts';
import { isRefused } from '../../../src/coordinator/group-requests.ts';
import { type BrokerId, noBroker } from '../../../src/model/brands.ts';
import type { SimulatedProcess } from '../simulated-process.ts';
import type { World } from '../world.ts';
import type { GroupAsk } from './group-ask.ts';
import type { SimulatedGroups } from './simulated-groups.ts';

/** What a client that looks for its coordinator again waits before. */
const lookUpMs = 20;

export class GroupConnection {
  readonly #world: World;
  readonly #groups: SimulatedGroups;
  readonly #client: SimulatedProcess;
  readonly #clientName: string;
  readonly #groupId: string;
  #coordinator: BrokerId = noBroker;
  /** When the newest request arrives at its broker. */
  #lastArrivalMs = 0;

  constructor(groups: SimulatedGroups, client: SimulatedProcess, clientName: string, groupId: string) {
    this.#world = groups.world;
    this.#groups = groups;
    this.#client = client;
    this.#clientName = clientName;
    this.#groupId = groupId;
  }

  /** `done` is given null where no answer came within the time; it is never called for a client that is gone. */
  ask<Request extends GroupRequest>(
    request: Request,
    timeoutMs: number,
    done: (answer: AnswerTo<Request> | null) => void,
  ): void {
    const { scheduler, random, clientLoss } = this.#world;
    const partition = this.#groups.partitionOf(this.#groupId);
    if (this.#coordinator === noBroker && partition !== null)
      this.#coordinator = this.#world.believedLeaderOf(partition);
    const target = this.#coordinator === noBroker ? null : this.#world.processOf(this.#coordinator);
    if (partition === null || target === null) {
      this.#coordinator = noBroker;
      this.#client.after(lookUpMs, () => done(null));
      return;
    }
    let isOver = false;
    let withdraw = (): void => undefined;
    const settle = (answer: GroupAnswer | null): void => {
      if (isOver) return;
      isOver = true;
      if (answer === null || sendsAway(answer)) this.#coordinator = noBroker;
      if (answer === null) withdraw();
      // What is answered has the kind of what was asked: the shard is the one to keep that.
      done(answer as AnswerTo<Request> | null);
    };
    this.#client.after(timeoutMs, () => settle(null));
    const ask: GroupAsk = {
      request,
      clientName: this.#clientName,
      reply: (answer) => {
        if (!random.chance(clientLoss)) this.#client.after(this.#latencyMs(), () => settle(answer));
      },
      onProcessGone: () => {
        if (random.chance(0.8)) this.#client.after(this.#latencyMs(), () => settle(null));
      },
    };
    this.#world.onGroupSent(ask);
    if (random.chance(clientLoss)) return;
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, scheduler.nowMs + this.#latencyMs());
    target.process.after(this.#lastArrivalMs - scheduler.nowMs, () => {
      const coordinator = target.coordinators.get(partition);
      if (coordinator === undefined) {
        ask.reply({ fault: { code: 'NOT_COORDINATOR' } });
        return;
      }
      const requestId = coordinator.ask(ask);
      withdraw = () => target.process.after(this.#latencyMs(), () => coordinator.withdraw(requestId));
    });
  }

  #latencyMs(): number {
    const { random } = this.#world;
    return random.next() * (random.chance(this.#groups.slowMessages) ? 100 : 3);
  }
}

const sendsAway = (answer: GroupAnswer): boolean =>
  isRefused(answer) && (answer.fault.code === 'NOT_COORDINATOR' || answer.fault.code === 'COORDINATOR_NOT_AVAILABLE');
