/**
 * The network of the simulated world: streams between processes that are first in, first out and nothing else. Messages
 * of different streams overtake each other; a cut holds them back until it heals or the stream is given up; a killed
 * process closes its streams with or without what it had sent; a machine without power says nothing at all.
 */
import type { CloseCause } from '../../src/controller/control-channel.ts';
import type { DialOutcome } from '../../src/controller/control-messages.ts';
import { type BrokerId, brokerId } from '../../src/model/brands.ts';
import type { Scheduler } from './scheduler.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SimulatedProcess } from './simulated-process.ts';

/** A place in the network; the metadata store is one. */
export type Place = BrokerId;
export const storePlace: Place = brokerId(1_000_000);

export interface NetworkWeather {
  /** Usual delay of a message in milliseconds: between nothing and this. */
  latencyMs: number;
  /** Chance of a message to take up to `spikeMs`. */
  spikeChance: number;
  spikeMs: number;
}

export interface StreamHandler<In> {
  onMessage(message: In): void;
  onClosed(cause: CloseCause): void;
}

/** One end of a stream, in the hands of one process. */
export class StreamEnd<In, Out> {
  readonly streamId: number;
  readonly process: SimulatedProcess;
  readonly #network: SimulatedNetwork;
  handler: StreamHandler<In> | null = null;
  peer: StreamEnd<Out, In> | null = null;
  isOpen = true;
  /** Sent from here and not yet there, first in, first out; a cut holds it back. */
  #underWay: { readonly atMs: number; readonly arrive: () => void }[] = [];
  isGivingUp = false;

  constructor(streamId: number, process: SimulatedProcess, network: SimulatedNetwork) {
    this.streamId = streamId;
    this.process = process;
    this.#network = network;
  }

  send(message: Out): void {
    if (!this.isOpen) return;
    const sentMs = this.#network.scheduler.nowMs;
    this.#transmit(() => {
      const { peer } = this;
      if (!peer?.isOpen) return;
      peer.process.run(() => {
        if (!peer.isOpen) return;
        if (peer.process !== this.process) peer.process.noteContact(sentMs);
        peer.handler?.onMessage(message);
      });
    });
  }

  /** Closes this end now; the other hears of it behind what was sent before. */
  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#network.forget(this);
    this.#transmit(() => this.peer?.end('peerClosed'));
  }

  /** As `close`, by the kernel of a killed process: what was sent may or may not arrive before the end. */
  breakOff(losesSent: boolean): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#network.forget(this);
    const { peer } = this;
    if (peer === null) return;
    if (losesSent) {
      const delayMs = this.#network.latencyMs();
      this.#underWay = [];
      this.#network.scheduler.after(delayMs, () => {
        if (this.#network.canReach(this.process.brokerId, peer.process.brokerId)) peer.end('peerClosed');
        else this.giveUpLater();
      });
    } else this.#transmit(() => peer.end('peerClosed'));
  }

  /** Told to this end by the network. */
  end(cause: CloseCause): void {
    if (!this.isOpen) return;
    this.#network.forget(this);
    // Nobody stays for long on a stream that the other side has given up: what it sends is answered by a reset.
    const { peer } = this;
    if (cause === 'lost' && peer?.isOpen)
      this.#network.scheduler.after(this.#network.giveUpAfterMs(), () => peer.end('lost'));
    this.process.run(() => {
      if (!this.isOpen) return;
      this.isOpen = false;
      this.handler?.onClosed(cause);
    });
    if (this.process.isDead) this.isOpen = false;
  }

  #transmit(arrive: () => void): void {
    const { scheduler } = this.#network;
    const atMs = Math.max(scheduler.nowMs + this.#network.latencyMs(), this.#underWay.at(-1)?.atMs ?? 0);
    this.#underWay.push({ atMs, arrive });
    scheduler.at(atMs, () => this.#deliver());
  }

  #deliver(): void {
    const { scheduler } = this.#network;
    const to = this.peer?.process.brokerId ?? this.process.brokerId;
    for (
      let first = this.#underWay[0];
      first !== undefined && first.atMs <= scheduler.nowMs;
      first = this.#underWay[0]
    ) {
      if (!this.#network.canReach(this.process.brokerId, to)) return this.giveUpLater();
      this.#underWay.shift();
      first.arrive();
    }
  }

  /** Keepalives of both sides end a stream through which nothing comes. */
  giveUpLater(): void {
    if (this.isGivingUp) return;
    this.isGivingUp = true;
    for (const end of [this, this.peer])
      if (end)
        this.#network.scheduler.after(this.#network.giveUpAfterMs(), () => {
          if (this.isGivingUp) end.end('lost');
        });
  }

  /** The cut has healed: what was held goes on, in order. */
  onHealed(): void {
    if (this.peer && !this.#network.canReach(this.process.brokerId, this.peer.process.brokerId)) return;
    this.isGivingUp = false;
    this.#network.scheduler.after(this.#network.latencyMs(), () => this.#deliver());
  }
}

// biome-ignore lint/suspicious/noExplicitAny: the network carries streams of any messages and looks into none.
type AnyEnd = StreamEnd<any, any>;

export class SimulatedNetwork {
  readonly scheduler: Scheduler;
  readonly weather: NetworkWeather = { latencyMs: 2, spikeChance: 0.01, spikeMs: 200 };
  readonly #random: SeededRandom;
  readonly #blocked = new Set<number>();
  readonly #ends = new Set<AnyEnd>();
  /** Places without power: they refuse nothing, they are silent. */
  readonly dark = new Set<Place>();
  #lastStreamId = 0;

  constructor(scheduler: Scheduler, random: SeededRandom) {
    this.scheduler = scheduler;
    this.#random = random;
  }

  latencyMs(): number {
    const { latencyMs, spikeChance, spikeMs } = this.weather;
    return this.#random.next() * (this.#random.chance(spikeChance) ? spikeMs : latencyMs);
  }

  giveUpAfterMs(): number {
    return this.#random.between(500, 4_000);
  }

  canReach(from: Place, to: Place): boolean {
    return !this.#blocked.has(pathOf(from, to));
  }

  canTalk(a: Place, b: Place): boolean {
    return this.canReach(a, b) && this.canReach(b, a);
  }

  block(from: Place, to: Place): void {
    if (from === to) return;
    this.#blocked.add(pathOf(from, to));
    for (const end of this.#ends) {
      const peerId = end.peer?.process.brokerId;
      const here = end.process.brokerId;
      const isCut = (here === from && peerId === to) || (here === to && peerId === from);
      if (isCut && this.#random.chance(0.7)) end.giveUpLater();
    }
  }

  get isWhole(): boolean {
    return this.#blocked.size === 0;
  }

  heal(): void {
    this.#blocked.clear();
    for (const end of [...this.#ends]) end.onHealed();
  }

  /**
   * A stream to the process of a broker. `accept` is called there, with its end, before any message reaches it; the
   * client may send at once. Failure to connect is `onClosed`.
   */
  connect<ToClient, ToServer>(
    client: SimulatedProcess,
    server: BrokerId,
    processOf: (id: BrokerId) => SimulatedProcess | null,
    accept: (process: SimulatedProcess, end: StreamEnd<ToServer, ToClient>) => void,
    handler: StreamHandler<ToClient>,
  ): StreamEnd<ToClient, ToServer> {
    const clientEnd = new StreamEnd<ToClient, ToServer>(++this.#lastStreamId, client, this);
    clientEnd.handler = handler;
    this.#ends.add(clientEnd);
    const target = processOf(server);
    if (target === null || target.isDead || !this.canTalk(client.brokerId, server)) {
      const isSilent = this.dark.has(server) || !this.canTalk(client.brokerId, server);
      this.scheduler.after(isSilent ? this.giveUpAfterMs() : this.latencyMs(), () => clientEnd.end('lost'));
      return clientEnd;
    }
    const serverEnd = new StreamEnd<ToServer, ToClient>(++this.#lastStreamId, target, this);
    this.#ends.add(serverEnd);
    clientEnd.peer = serverEnd;
    serverEnd.peer = clientEnd;
    // Sent ahead of everything else by way of the handler that the server end has from its first task on.
    this.scheduler.after(0, () => target.run(() => accept(target, serverEnd)));
    return clientEnd;
  }

  forget(end: AnyEnd): void {
    this.#ends.delete(end);
  }

  /** The streams that a process holds an end of. */
  streamsOf(process: SimulatedProcess): AnyEnd[] {
    return [...this.#ends].filter((end) => end.process === process);
  }

  /** Some stream between living processes breaks for no reason that anybody could see. */
  breakSomeStream(): void {
    const open = [...this.#ends].filter((end) => end.peer !== null && !end.process.isDead);
    if (open.length === 0) return;
    const end = this.#random.pick(open);
    const { peer } = end;
    this.scheduler.after(this.latencyMs(), () => end.end('lost'));
    this.scheduler.after(this.latencyMs() * 10, () => peer?.end('lost'));
  }

  onKilled(process: SimulatedProcess): void {
    const losesSent = this.#random.chance(0.5);
    for (const end of this.streamsOf(process)) end.breakOff(losesSent);
  }

  onPowerLost(process: SimulatedProcess): void {
    for (const end of this.streamsOf(process)) {
      end.isOpen = false;
      this.forget(end);
      end.giveUpLater();
    }
  }

  /** What one raw connection meets. `isListening`: the kernel answers for a stopped process, too. */
  dial(from: Place, to: BrokerId, isListening: boolean, limitMs: number, done: (outcome: DialOutcome) => void): void {
    if (!this.canTalk(from, to)) return this.scheduler.after(limitMs, () => done('silent'));
    if (isListening) return this.scheduler.after(this.latencyMs(), () => done('accepted'));
    if (this.dark.has(to))
      return this.scheduler.after(limitMs, () => done(this.#random.chance(0.5) ? 'silent' : 'noSuchName'));
    this.scheduler.after(this.latencyMs(), () => done('refused'));
  }
}

const pathOf = (from: Place, to: Place): number => from * 2_000_003 + to;
