/** How does the raw member talk to its coordinator? It asks whoever answers where that is, and asks again while it moves. */

import type { Api } from '../../../src/wire/api.ts';
import { errorCodes } from '../../../src/wire/error-codes.ts';
import type { Decoded, Fields, Given } from '../../../src/wire/field.ts';
import { findCoordinatorApi } from '../../../src/wire/messages/10-find-coordinator.ts';
import { sleepMs } from '../raw-cluster.ts';
import { WireClient } from '../wire-client.ts';

/** Between two attempts; small, since what is measured is the cluster. */
const retryMs = 20;

const isMoving = (code: number): boolean =>
  code === errorCodes.COORDINATOR_NOT_AVAILABLE ||
  code === errorCodes.COORDINATOR_LOAD_IN_PROGRESS ||
  code === errorCodes.NOT_COORDINATOR;

export class CoordinatorClient {
  readonly #brokers: readonly { host: string; port: number }[];
  readonly #group: string;
  readonly #clientId: string;
  #client: WireClient | null = null;
  #isClosed = false;

  /** `brokers` as `host:port`. */
  constructor(brokers: readonly string[], group: string, clientId: string) {
    this.#group = group;
    this.#clientId = clientId;
    this.#brokers = brokers.map((address) => {
      const [host = '', port] = address.split(':');
      return { host, port: Number(port) };
    });
  }

  /** The first answer of a coordinator that is one, however long that takes; rejects once closed. */
  async ask<Request extends Fields, Response extends Fields>(
    api: Api<Request, Response>,
    version: number,
    body: Given<Request>,
    codeOf: (answer: Decoded<Response>) => number,
  ): Promise<Decoded<Response>> {
    for (;;) {
      if (this.#isClosed) throw new Error('closed');
      try {
        this.#client ??= await this.#open();
        const answer = await this.#client.ask(api, version, body);
        if (!isMoving(codeOf(answer))) return answer;
        this.#drop();
      } catch {
        this.#drop();
      }
      await sleepMs(retryMs);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#drop();
  }

  #drop(): void {
    this.#client?.close();
    this.#client = null;
  }

  async #open(): Promise<WireClient> {
    for (const broker of this.#brokers) {
      const asked = await WireClient.open(broker).catch(() => null);
      if (asked === null) continue;
      try {
        const body = { keyType: 0, coordinatorKeys: [this.#group] };
        const [found] = (await asked.ask(findCoordinatorApi, 4, body)).coordinators;
        if (found?.errorCode === errorCodes.NONE) return await WireClient.open(found, this.#clientId);
      } catch {
        // The next one may know.
      } finally {
        asked.close();
      }
    }
    throw new Error('nobody knows the coordinator');
  }
}
