/**
 * AlterPartition requests until each of their proposals is committed or refused (§2.7, T5). A proposal whose partition
 * is being written, or whose transaction did not happen, is judged again from what is known then; its leader waits and
 * keeps it pending, so it is answered once and for all.
 */
import { type BrokerId, partitionEpoch } from '../model/brands.ts';
import { encodeValue, keys } from '../model/metadata-schema.ts';
import type { BrokerMessage, IsrAnswer, IsrProposal } from './control-messages.ts';
import { type ControllerContext, partitionsPerTxn } from './controller-context.ts';
import { judgeIsrProposal } from './isr-alteration.ts';
import type { Compare, Mutation } from './metadata-store.ts';

type AlterPartition = Extract<BrokerMessage, { kind: 'alterPartition' }>;

interface Request {
  readonly streamId: number;
  readonly message: AlterPartition;
  readonly answers: (IsrAnswer | null)[];
  /** Proposals whose transaction is under way. */
  readonly writing: Set<number>;
}

interface Write {
  readonly index: number;
  readonly answer: IsrAnswer;
  readonly compares: readonly Compare[];
  readonly mutation: Mutation;
}

/** Compares that still leave room for a proposal that adds all members of a large assignment. */
const mostCompares = 100;

export class IsrAlterations {
  readonly #context: ControllerContext;
  readonly #requests = new Set<Request>();

  constructor(context: ControllerContext) {
    this.#context = context;
  }

  onRequest(streamId: number, message: AlterPartition): void {
    // Sent again because the answer is late: the first of them will be answered.
    for (const request of this.#requests)
      if (request.streamId === streamId && request.message.requestId === message.requestId) return;
    this.#requests.add({ streamId, message, answers: message.proposals.map(() => null), writing: new Set() });
  }

  /** Nobody is there to be told; a transaction under way goes on. */
  onStreamClosed(streamId: number): void {
    for (const request of this.#requests) if (request.streamId === streamId) this.#requests.delete(request);
  }

  pump(): void {
    for (const request of [...this.#requests]) {
      this.#judge(request);
      this.#maybeAnswer(request);
    }
  }

  #judge(request: Request): void {
    const { view, canLead } = this.#context;
    const { brokerId, brokerEpoch, proposals } = request.message;
    const writes: Write[] = [];
    const chosen = new Set<string>();
    for (const [index, proposal] of proposals.entries()) {
      if (request.answers[index] || request.writing.has(index)) continue;
      const key = keys.partition(proposal.topicId, proposal.partition);
      if (view.isTaken(key) || chosen.has(key)) continue;
      const judgement = judgeIsrProposal(view, brokerId, brokerEpoch, proposal, canLead);
      if (judgement.kind === 'answer') {
        request.answers[index] = judgement.answer;
        continue;
      }
      chosen.add(key);
      const { record, compares } = judgement;
      const answer: IsrAnswer = { kind: 'ok', partitionEpoch: partitionEpoch(record.partitionEpoch) };
      if (writes.length === 0) this.#log(brokerId, proposal, proposals.length);
      writes.push({ index, answer, compares, mutation: { kind: 'put', key, value: encodeValue(record) } });
    }
    while (writes.length > 0) this.#write(request, takeBatch(writes));
  }

  #write(request: Request, batch: readonly Write[]): void {
    const compares = new Map(batch.flatMap((write) => write.compares.map((one) => [one.key, one] as const)));
    for (const { index } of batch) request.writing.add(index);
    this.#context.transact(
      [...compares.values()],
      batch.map((write) => write.mutation),
      ({ isDone }) => {
        for (const { index, answer } of batch) {
          request.writing.delete(index);
          if (isDone) request.answers[index] = answer;
        }
        this.#maybeAnswer(request);
      },
    );
  }

  #maybeAnswer(request: Request): void {
    const answers = request.answers.flatMap((answer) => (answer ? [answer] : []));
    if (answers.length < request.answers.length || !this.#requests.delete(request)) return;
    const { requestId } = request.message;
    this.#context.send(request.streamId, { kind: 'alterPartitionAnswer', requestId, answers });
  }

  /** One line per request: a broker that comes back changes thousands. */
  #log(leader: BrokerId, { topicId, partition, isr }: IsrProposal, proposals: number): void {
    const topic = this.#context.view.topic(topicId)?.record.name;
    const others = proposals - 1;
    this.#context.log(
      'info',
      { leader, topic, partition, isr: isr.map((member) => member.brokerId), others },
      'ISR changes',
    );
  }
}

/** As many as one transaction takes, from the front. */
function takeBatch(writes: Write[]): Write[] {
  const compared = new Set<string>();
  const batch: Write[] = [];
  for (let next = writes[0]; next && batch.length < partitionsPerTxn; next = writes[0]) {
    for (const { key } of next.compares) compared.add(key);
    if (batch.length > 0 && compared.size > mostCompares) break;
    batch.push(next);
    writes.shift();
  }
  return batch;
}
