/**
 * May a leader's proposed ISR be written (AlterPartition, `replication-invariants` §2.7, T5)? Pure.
 *
 *   the proposal                                              | answer
 *   partition gone, not the leader, other epochs              | fenced: newer metadata will end the proposal
 *   is what the record says since (its answer was lost)       | ok
 *   is what the record says now                               | written: a newer partition epoch
 *   leaves out the leader, or names a broker without replica  | ineligible
 *   a member is not ACTIVE, or is another start (KIP-903)     | ineligible (I17, KAFKA-14617)
 *   else                                                      | written, comparing `brokers/<id>` of each added member
 */
import { type BrokerEpoch, type BrokerId, nextPartitionEpoch, noBrokerEpoch } from '../model/brands.ts';
import { keys, type PartitionRecord } from '../model/metadata-schema.ts';
import type { IsrAnswer, IsrProposal } from './control-messages.ts';
import type { ControlView } from './control-view.ts';
import type { Compare } from './metadata-store.ts';
import { changePartition } from './partition-change.ts';

export type IsrJudgement =
  | { readonly kind: 'answer'; readonly answer: IsrAnswer }
  | { readonly kind: 'write'; readonly record: PartitionRecord; readonly compares: readonly Compare[] };

export function judgeIsrProposal(
  view: ControlView,
  leaderId: BrokerId,
  leaderBrokerEpoch: BrokerEpoch,
  proposal: IsrProposal,
  canLead: (id: BrokerId) => boolean,
): IsrJudgement {
  const answer = (kind: 'ineligible' | 'fenced'): IsrJudgement => ({ kind: 'answer', answer: { kind } });
  const found = view.partition(proposal.topicId, proposal.partition);
  if (!found || view.broker(leaderId)?.record.brokerEpoch !== leaderBrokerEpoch) return answer('fenced');
  const { record } = found;
  if (record.leader !== leaderId || record.leaderEpoch !== proposal.leaderEpoch) return answer('fenced');
  const proposed = proposal.isr.map((member) => member.brokerId).sort((a, b) => a - b);
  const isAsRecorded = proposed.length === record.isr.length && proposed.every((id, index) => id === record.isr[index]);
  if (record.partitionEpoch !== proposal.partitionEpoch)
    return isAsRecorded && record.partitionEpoch === proposal.partitionEpoch + 1
      ? { kind: 'answer', answer: { kind: 'ok', partitionEpoch: record.partitionEpoch } }
      : answer('fenced');
  if (!canLead(leaderId)) return answer('fenced');
  if (!proposed.includes(leaderId) || new Set(proposed).size !== proposed.length) return answer('ineligible');
  const compares: Compare[] = [];
  for (const { brokerId, brokerEpoch } of proposal.isr) {
    const broker = view.broker(brokerId);
    const isThisStart = brokerEpoch === noBrokerEpoch || broker?.record.brokerEpoch === brokerEpoch;
    if (!broker || !record.replicas.includes(brokerId) || !canLead(brokerId) || !isThisStart)
      return answer('ineligible');
    if (record.isr.includes(brokerId)) continue;
    if (brokerEpoch === noBrokerEpoch) return answer('ineligible');
    compares.push({ key: keys.broker(brokerId), modRevision: broker.modRevision });
  }
  // What the record says already is written all the same: the leader wants a newer partition epoch, so that an earlier
  // proposal of its, which was lost on the way, can no longer be committed (`replication/leader-state.ts`).
  const same = { ...record, partitionEpoch: nextPartitionEpoch(record.partitionEpoch) };
  const different = changePartition(record, { isr: proposed }, canLead);
  const changed = different === record ? same : different;
  compares.push({ key: keys.partition(proposal.topicId, proposal.partition), modRevision: found.modRevision });
  return { kind: 'write', record: changed, compares };
}
