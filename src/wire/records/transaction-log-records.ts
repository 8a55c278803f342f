/** Transactional ids and their transactions, as `__transaction_state` keeps them. Value v1 is flexible (KIP-890, from transaction.version 1 on). */
import { array, int8, int16, int32, int64, string } from '../field.ts';
import type { Infer } from '../message.ts';
import { coordinatorRecord } from './coordinator-record.ts';

export const transactionLogRecord = coordinatorRecord({
  type: 0,
  name: 'TRANSACTION_LOG',
  key: {
    transactionalId: string('0+'),
  },
  versions: '0-1',
  flexible: '1+',
  value: {
    producerId: int64('0+'),
    previousProducerId: int64('1+', { tag: 0, default: -1n }),
    nextProducerId: int64('1+', { tag: 1, default: -1n }),
    producerEpoch: int16('0+'),
    nextProducerEpoch: int16('1+', { tag: 3, default: -1 }),
    transactionTimeoutMs: int32('0+'),
    transactionStatus: int8('0+'),
    transactionPartitions: array(
      '0+',
      {
        topic: string('0+'),
        partitionIds: array('0+', 'int32'),
      },
      { nullable: '0+' },
    ),
    transactionLastUpdateTimestampMs: int64('0+'),
    transactionStartTimestampMs: int64('0+'),
    clientTransactionVersion: int16('1+', { tag: 2 }),
  },
});

export type TransactionLogKey = Infer<typeof transactionLogRecord.key>;
export type TransactionLogValue = Infer<typeof transactionLogRecord.value>;
