import assert from 'node:assert/strict';
import { test } from 'vitest';
import { defaultControlOptions as options } from '../../../src/controller/control-options.ts';
import { Election } from '../../../src/controller/election.ts';
import type { ElectionAction, ElectionEvent } from '../../../src/controller/election-events.ts';
import type { LeaseId } from '../../../src/controller/metadata-store.ts';
import { brokerId, revision } from '../../../src/model/brands.ts';
import type { ControllerRecord } from '../../../src/model/metadata-schema.ts';

const recordOf = (id: number, incarnation = `i${id}`): ControllerRecord => ({
  brokerId: brokerId(id),
  incarnation,
  endpoint: { name: 'PEER', host: 'h', port: id },
});
const seen = (at: number, record: ControllerRecord | null, since = at, nowMs = 0): ElectionEvent => ({
  kind: 'controllerSeen',
  controller: record && { record, modRevision: revision(since) },
  revision: revision(at),
  nowMs,
});

/** Broker 1, started, with a lease, looking at this holder of the key. */
function started(holder: ControllerRecord | null, at = 10): { election: Election; actions: ElectionAction[] } {
  const election = new Election(options, recordOf(1));
  const actions = [
    ...election.step({ kind: 'started', nowMs: 0 }),
    ...election.step(seen(at, holder)),
    ...election.step({ kind: 'leaseGranted', leaseId: 'l1' as LeaseId, nowMs: 0 }),
  ];
  return { election, actions };
}

const kindsOf = (actions: readonly ElectionAction[]): string[] => actions.map(({ kind }) => kind);
const campaign = (actions: readonly ElectionAction[]) =>
  actions.flatMap((action) => (action.kind === 'transact' ? [action] : [])).at(-1);
const win = (id: number, at: number, nowMs = 0): ElectionEvent => ({
  kind: 'txnDone',
  id,
  outcome: { kind: 'succeeded', revision: revision(at) },
  nowMs,
});

test('where nobody is the controller the key is taken with the own lease (T0)', () => {
  const { actions } = started(null);
  const txn = campaign(actions)?.txn;
  assert.deepEqual(txn?.compares, [{ key: 'ctl/leader', modRevision: 0 }]);
  assert.equal(txn?.mutations[0]?.kind === 'put' && txn.mutations[0].lease, 'l1');
});

test('a living controller is left alone', () => {
  assert.equal(campaign(started(recordOf(2)).actions), undefined);
});

test('the term begins when the image holds the win, not before (§2.1.3)', () => {
  const { election, actions } = started(null);
  const id = campaign(actions)?.id ?? 0;
  assert.deepEqual(election.step(win(id, 12)), []);
  assert.deepEqual(election.step(seen(11, null)), []);
  assert.deepEqual(election.step(seen(12, recordOf(1))), [{ kind: 'beginTerm', controllerEpoch: 12, knownDead: [] }]);
  assert.equal(election.controllerEpoch, 12);
});

test('a win that the image shows before the store has answered begins the term at once', () => {
  const { election, actions } = started(null);
  assert.deepEqual(kindsOf(election.step(seen(12, recordOf(1)))), ['beginTerm']);
  assert.deepEqual(election.step(win(campaign(actions)?.id ?? 0, 12)), []);
  assert.equal(election.controllerEpoch, 12);
});

test('evidence of death replaces the key without waiting for the lease, and is handed to the term (T2)', () => {
  const { election } = started(recordOf(2));
  const txn = campaign(election.step({ kind: 'controllerDead', controllerEpoch: revision(10), nowMs: 1 }));
  assert.deepEqual(txn?.txn.compares, [{ key: 'ctl/leader', modRevision: 10 }]);
  election.step(win(txn?.id ?? 0, 11));
  const [begin] = election.step(seen(11, recordOf(1)));
  assert.deepEqual(begin, { kind: 'beginTerm', controllerEpoch: 11, knownDead: [2] });
});

test('evidence that comes when the key is gone already is handed to the term of whoever wins it', () => {
  const { election } = started(recordOf(2));
  const txn = campaign(election.step(seen(11, null)));
  assert.deepEqual(txn?.txn.compares, [{ key: 'ctl/leader', modRevision: 0 }]);
  election.step({ kind: 'controllerDead', controllerEpoch: revision(10), nowMs: 1 });
  election.step(win(txn?.id ?? 0, 12));
  assert.deepEqual(election.step(seen(12, recordOf(1))), [{ kind: 'beginTerm', controllerEpoch: 12, knownDead: [2] }]);
});

test('evidence against an earlier controller has no effect on the present one', () => {
  const { election } = started(recordOf(3), 20);
  assert.deepEqual(election.step({ kind: 'controllerDead', controllerEpoch: revision(10), nowMs: 1 }), []);
});

test('the key of an earlier start of this broker is replaced at once', () => {
  assert.ok(campaign(started(recordOf(1, 'before')).actions));
});

test('a lost campaign waits for the winner to show', () => {
  const { election, actions } = started(null);
  const id = campaign(actions)?.id ?? 0;
  assert.deepEqual(
    election.step({ kind: 'txnDone', id, outcome: { kind: 'failed', revision: revision(12) }, nowMs: 0 }),
    [],
  );
  assert.deepEqual(election.step(seen(12, recordOf(3))), []);
  assert.ok(campaign(election.step(seen(15, null))));
});

test('a win whose answer was lost is a win when the image shows it (§3)', () => {
  const { election, actions } = started(null);
  const id = campaign(actions)?.id ?? 0;
  election.step({ kind: 'txnDone', id, outcome: { kind: 'unknown' }, nowMs: 0 });
  assert.deepEqual(election.step(seen(12, recordOf(1))), [{ kind: 'beginTerm', controllerEpoch: 12, knownDead: [] }]);
});

function leading(): Election {
  const { election, actions } = started(null);
  election.step(win(campaign(actions)?.id ?? 0, 12));
  election.step(seen(12, recordOf(1)));
  return election;
}

test('a term ends when somebody else holds the key', () => {
  assert.deepEqual(
    leading()
      .step(seen(13, recordOf(2)))
      .map(({ kind }) => kind),
    ['endTerm'],
  );
});

test('a term ends with its lease, and another lease is asked for', () => {
  const election = leading();
  assert.deepEqual(
    election.step({ kind: 'leaseLost', nowMs: 100 }).map(({ kind }) => kind),
    ['endTerm'],
  );
  assert.deepEqual(
    election.step({ kind: 'ticked', nowMs: 300 }).map(({ kind }) => kind),
    ['grantLease'],
  );
});

test('whoever resigned lets others win first, and does not mistake its old key for a win', () => {
  const election = leading();
  const left = election.step({ kind: 'resigned', mayCampaignAgain: true, nowMs: 100 });
  assert.deepEqual(
    left.map(({ kind }) => kind),
    ['endTerm', 'revokeLease'],
  );
  assert.deepEqual(election.step(seen(13, null, 13, 200)), []);
  assert.deepEqual(
    election.step({ kind: 'ticked', nowMs: 1200 }).map(({ kind }) => kind),
    ['grantLease'],
  );
  assert.ok(campaign(election.step({ kind: 'leaseGranted', leaseId: 'l2' as LeaseId, nowMs: 1210 })));
});

test('a broker that stops never campaigns again', () => {
  const election = leading();
  election.step({ kind: 'resigned', mayCampaignAgain: false, nowMs: 100 });
  assert.deepEqual(election.step(seen(13, null, 13, 5000)), []);
  assert.deepEqual(election.step({ kind: 'ticked', nowMs: 9000 }), []);
});
