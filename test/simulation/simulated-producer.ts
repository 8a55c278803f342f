/** A client that writes: acks 0, 1 or all, idempotent or not, with time limits and repeats; it believes what metadata says. */
import { type BrokerId, noBroker } from '../../src/model/brands.ts';
import type { WriteAnswer, WriteRequest } from './simulated-replica.ts';
import type { World } from './world.ts';

interface Batch {
  readonly key: string;
  readonly request: WriteRequest;
  attempts: number;
}

export class SimulatedProducer {
  readonly #world: World;
  readonly #acks: number;
  readonly #producerId: number;
  readonly #thinkMs: number;
  /** By partition: the next sequence, and the batch that must be settled before the next one. */
  readonly #sequences = new Map<string, number>();
  isStopped = false;
  isIdle = true;

  constructor(world: World, producerId: number) {
    this.#world = world;
    const { random } = world;
    this.#acks = random.pick([-1, -1, -1, 1, 0]);
    this.#producerId = this.#acks === -1 && random.chance(0.7) ? producerId : -1;
    this.#thinkMs = random.pick([20, 60, 200]);
    this.#later();
  }

  #later(): void {
    this.isIdle = true;
    this.#world.scheduler.after(this.#world.random.next() * this.#thinkMs, () => {
      if (this.isStopped) return;
      this.#next();
    });
  }

  #next(): void {
    const world = this.#world;
    const partitions = world.dataPartitions();
    if (partitions.length === 0) return this.#later();
    const { key } = world.random.pick(partitions);
    // A batch stays whole in a real log; the model has only records, so what is known by its batch is one record.
    const count = this.#producerId < 0 && world.random.chance(0.3) ? 2 : 1;
    const first = this.#sequences.get(key) ?? 0;
    const records = Array.from({ length: count }, (_, i) => ({
      value: world.nextValue(),
      producerId: this.#producerId,
      sequence: first + i,
    }));
    this.isIdle = false;
    this.#send({ key, request: { acks: this.#acks, records, timeoutMs: 1_000 }, attempts: 0 });
  }

  #send(batch: Batch): void {
    const world = this.#world;
    const { random, scheduler } = world;
    batch.attempts++;
    const leader = world.believedLeaderOf(batch.key);
    let isOver = false;
    const settle = (answer: WriteAnswer | null): void => {
      if (isOver) return;
      isOver = true;
      this.#onAnswer(batch, answer);
    };
    scheduler.after(batch.request.acks === 0 ? 5 : 1_500, () => settle(null));
    const target = leader === noBroker ? null : world.processOf(leader as BrokerId);
    if (!target) return void scheduler.after(20, () => settle(null));
    if (random.chance(world.clientLoss)) return;
    target.process.after(random.next() * 3, () => {
      const replica = target.replicas.get(batch.key);
      const reply = (answer: WriteAnswer): void => {
        if (answer.kind === 'done') world.onAnswered(batch.key, batch.request, answer.baseOffset);
        if (batch.request.acks === 0 || random.chance(world.clientLoss)) return;
        scheduler.after(random.next() * 3, () => settle(answer));
      };
      if (replica) replica.write(batch.request, reply);
      else reply({ kind: 'refused', fault: { code: 'UNKNOWN_TOPIC_OR_PARTITION' } });
    });
  }

  /** Settled, or tried again: an idempotent producer tries for long, others soon leave it open what became of it. */
  #onAnswer(batch: Batch, answer: WriteAnswer | null): void {
    const world = this.#world;
    const isIdempotent = this.#producerId >= 0 && batch.request.acks !== 0;
    const isSettled = answer?.kind === 'done' || batch.request.acks === 0;
    if (isSettled) {
      const next = (this.#sequences.get(batch.key) ?? 0) + batch.request.records.length;
      this.#sequences.set(batch.key, next);
      return this.#later();
    }
    const isGone = world.recordOf(batch.key) === null;
    const limit = isIdempotent ? 60 : world.random.below(3);
    // An idempotent producer that gives up would need a new epoch; this one ends, as after a fatal error.
    if (isGone) return this.#later();
    if (batch.attempts > limit || this.isStopped) {
      if (isIdempotent && !this.isStopped) this.isStopped = true;
      return this.#later();
    }
    world.scheduler.after(20 + world.random.next() * 80, () => this.#send(batch));
  }
}
