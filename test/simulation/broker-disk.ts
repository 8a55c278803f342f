/** What a broker finds again when it starts: its logs, its last broker epoch, how it stopped. */
import type { StopKind } from '../../src/controller/control-messages.ts';
import { type BrokerEpoch, noBrokerEpoch } from '../../src/model/brands.ts';
import type { ModelLog } from './model-log.ts';

export class BrokerDisk {
  readonly directoryId: string;
  readonly logs = new Map<string, ModelLog>();
  brokerEpoch: BrokerEpoch = noBrokerEpoch;
  /** As the next start will judge the last stop. */
  stopKind: StopKind = 'clean';
  /** How wrong this machine's wall clock is. */
  wallOffsetMs = 0;
  /** It was wrong at some time. */
  hasMovedClock = false;

  constructor(directoryId: string) {
    this.directoryId = directoryId;
  }

  moveWallClock(offsetMs: number): void {
    this.wallOffsetMs = offsetMs;
    this.hasMovedClock ||= offsetMs !== 0;
  }

  openLog(key: string, makeLog: () => ModelLog): ModelLog {
    let log = this.logs.get(key);
    if (log === undefined) {
      log = makeLog();
      this.logs.set(key, log);
    }
    return log;
  }

  removeLog(key: string): void {
    this.logs.delete(key);
  }

  flush(): void {
    for (const log of this.logs.values()) log.flush();
  }
}
