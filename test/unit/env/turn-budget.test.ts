import { expect, test } from 'vitest';
import { TurnBudget } from '../../../src/env/turn-budget.ts';
import { ManualTime } from '../../support/manual-time.ts';

test('a turn has time until its budget is spent, and the next one has it again', async () => {
  const time = new ManualTime();
  let nowMs = 0;
  const budget = new TurnBudget(
    { budgetMs: 10 },
    { clock: { wallMs: () => 0, monotonicMs: () => nowMs }, timers: time },
  );
  nowMs = 500; // counts from the first question on
  expect(budget.hasTime).toBe(true);
  nowMs = 509;
  expect(budget.hasTime).toBe(true);
  nowMs = 510;
  expect(budget.hasTime).toBe(false);
  nowMs = 900;
  expect(budget.hasTime, 'still the same turn').toBe(false);
  const next = budget.nextTurn();
  await time.advance(0);
  await next;
  expect(budget.hasTime).toBe(true);
  nowMs = 909;
  expect(budget.hasTime).toBe(true);
  nowMs = 910;
  expect(budget.hasTime).toBe(false);
});
