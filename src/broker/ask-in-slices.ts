/**
 * How does a request for very many groups leave room for others'? It is asked some groups at a time, and between them the
 * event loop turns (I42). All are waited for together: those that wait for an election hold up no others.
 */
import type { Timers } from '../env/clock.ts';
import { pause } from '../env/pause.ts';

/** Some milliseconds of asking a coordinator that answers at once. */
const sliceSize = 500;

/** Answers in the order of the keys. */
export async function askInSlices<Key, Answer>(
  timers: Timers,
  keys: readonly Key[],
  ask: (key: Key) => Promise<Answer>,
): Promise<Answer[]> {
  const answers: Promise<Answer>[] = [];
  for (let at = 0; at < keys.length; at += sliceSize) {
    if (at > 0) await pause(timers, 0);
    for (const key of keys.slice(at, at + sliceSize)) {
      const answer = ask(key);
      // Who fails is seen below; until then it is nobody's unhandled rejection.
      answer.catch(() => undefined);
      answers.push(answer);
    }
  }
  return Promise.all(answers);
}
