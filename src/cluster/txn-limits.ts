/** Is a transaction one that every store takes? The embedded store refuses what etcd would, so that nothing works only in a test. */
import { type MetadataTxn, maxTxnBytes, maxTxnOps } from '../controller/metadata-store.ts';
import { assert } from '../model/assert.ts';

/** Allowance per operation for the framing around key and value. */
const framingBytes = 32;

/** `keyOverheadBytes`: what the store puts before each key. */
export function assertWithinLimits(txn: MetadataTxn, keyOverheadBytes = 0): void {
  const { compares, mutations } = txn;
  assert(compares.length <= maxTxnOps, `${compares.length} compares in a transaction, ${maxTxnOps} are allowed`);
  assert(mutations.length <= maxTxnOps, `${mutations.length} mutations in a transaction, ${maxTxnOps} are allowed`);
  const mutated = new Set(mutations.map((mutation) => mutation.key));
  assert(mutated.size === mutations.length, 'a key is mutated twice in a transaction');
  let bytes = 0;
  for (const { key } of compares) bytes += framingBytes + keyOverheadBytes + Buffer.byteLength(key);
  for (const mutation of mutations) {
    bytes += framingBytes + keyOverheadBytes + Buffer.byteLength(mutation.key);
    if (mutation.kind === 'put') bytes += Buffer.byteLength(mutation.value);
  }
  assert(bytes <= maxTxnBytes, `a transaction of ${bytes} bytes, ${maxTxnBytes} are allowed`);
}
