/** One step of a group in the making: what is written, who is answered, and which of its deadlines move. */
import type { GroupStep } from '../group.ts';
import { deadlineKey, type GroupModules } from '../group-modules.ts';
import type { GroupRecord } from '../group-records.ts';
import type { GroupAnswer } from '../group-requests.ts';

/** A session is a member's, or a pending one's; the others are the group's: to join, and to sync. */
export type Purpose = 'session' | 'join' | 'sync';

export class StepDraft {
  readonly #groupId: string;
  readonly #deadlines: GroupModules['deadlines'];
  #records: GroupRecord[] = [];
  #answers: { requestId: number; answer: GroupAnswer }[] = [];

  constructor(groupId: string, { deadlines }: GroupModules) {
    this.#groupId = groupId;
    this.#deadlines = deadlines;
  }

  write(record: GroupRecord): void {
    this.#records.push(record);
  }

  answer(requestId: number, answer: GroupAnswer): void {
    this.#answers.push({ requestId, answer });
  }

  /** What has been drafted since the last one. */
  take(): GroupStep {
    const step: GroupStep = { key: this.#groupId, records: this.#records, answers: this.#answers };
    this.#records = [];
    this.#answers = [];
    return step;
  }

  /** Deadlines move at once, whether the records are written or not. */
  setDeadline(purpose: Purpose, atMs: number, memberId = ''): void {
    this.#deadlines.set(deadlineKey({ groupId: this.#groupId, purpose, memberId }), atMs);
  }

  cancelDeadline(purpose: Purpose, memberId = ''): void {
    this.#deadlines.cancel(deadlineKey({ groupId: this.#groupId, purpose, memberId }));
  }
}
