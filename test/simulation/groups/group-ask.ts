/** One request to a group's coordinator on its way: what was asked, by whom, when, and where the answer goes. */
import type { GroupAnswer, GroupRequest } from '../../../src/coordinator/group-requests.ts';

export interface GroupAsk {
  readonly request: GroupRequest;
  /** For the trace. */
  readonly clientName: string;
  /** Called once at most: an answer can be lost, and so can its coordinator. */
  reply(answer: GroupAnswer): void;
  /** The process that had the request is gone; its kernel may still tell. */
  onProcessGone(): void;
}
