/** A failure of the disk as the refusal that callers are given: STORAGE, unless it already has a name. */
import { BrokerError } from '../model/fault.ts';

export function storageFault(error: unknown): BrokerError {
  if (error instanceof BrokerError) return error;
  return new BrokerError({ code: 'STORAGE', reason: (error as Error).message });
}
