/** One result per item of an admin command, and the image caught up with what was done. */
import type { AdminCommand, AdminItemResult } from '../../controller/control-messages.ts';
import type { BrokerServices } from '../services.ts';

/** Most that a request for administration waits, whatever the client asks for. */
const longestWaitMs = 120_000;

/**
 * A refusal of the whole command is every item's. When it is done, this broker's image is waited for, so that what the
 * client asks next is answered from it.
 */
export async function adminResults(
  services: BrokerServices,
  command: AdminCommand,
  items: number,
  timeoutMs: number,
): Promise<readonly AdminItemResult[]> {
  if (items === 0) return [];
  const limitMs = Math.min(Math.max(timeoutMs, 1), longestWaitMs);
  const startedMs = services.clock.monotonicMs();
  const answer = await services.admin(command, limitMs);
  if (answer.kind === 'refused') return Array.from({ length: items }, () => ({ fault: answer.fault }));
  const leftMs = limitMs - (services.clock.monotonicMs() - startedMs);
  await services.waitForRevision(answer.revision, Math.max(leftMs, 0));
  return answer.results;
}
