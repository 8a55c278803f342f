/** How a transaction ended, as the cores want to hear it: a store that does not answer is an outcome, not an exception. */
import type { StoreOutcome } from './controller-events.ts';
import { LeaseLost, type MetadataStore, type MetadataTxn, StoreUnavailable } from './metadata-store.ts';

/** Never rejects but for bugs (a transaction the store refuses to take). */
export async function outcomeOf(store: MetadataStore, txn: MetadataTxn): Promise<StoreOutcome> {
  try {
    const { succeeded, revision } = await store.transact(txn);
    return { kind: succeeded ? 'succeeded' : 'failed', revision };
  } catch (error) {
    if (error instanceof StoreUnavailable) return { kind: error.outcomeUnknown ? 'unknown' : 'notDone' };
    if (error instanceof LeaseLost) return { kind: 'notDone' };
    throw error;
  }
}
