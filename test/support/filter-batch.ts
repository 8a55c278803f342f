/** A batch without some of its records, in one step, as compaction makes it of batches that are small. */
import { type BatchFilter, BatchSurvey, rewrittenAtOnce } from '../../src/records/batch-filter.ts';
import { unpackedRecords } from '../../src/records/record-batch.ts';

const maxBytes = 1 << 20;

export function filterBatch(batch: Buffer, filter: BatchFilter): Buffer | null {
  const records = unpackedRecords(batch, maxBytes);
  const survey = new BatchSurvey(batch, filter);
  survey.enter(records);
  survey.look(Number.POSITIVE_INFINITY);
  const result = survey.result();
  return result === null || Buffer.isBuffer(result) ? result : rewrittenAtOnce(result, records);
}
