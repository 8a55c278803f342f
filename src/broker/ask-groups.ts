/**
 * How does a request for very many groups leave room for others'? It is asked some groups at a time, and between them the
 * event loop turns (I42). All are waited for together: those that wait for an election hold up no others. And its answer,
 * which is encoded in one turn, tells so much at most.
 */
import type { Timers } from '../env/clock.ts';
import { pause } from '../env/pause.ts';

/** Some milliseconds of asking a coordinator that answers at once. */
const sliceSize = 500;
/** Partitions or members of one answer, some 30 ms of encoding. */
const rowsLimit = 100_000;

export interface AnswerSize<Key, Answer> {
  rowsOf(answer: Answer): number;
  /** In place of what does not fit: COORDINATOR_LOAD_IN_PROGRESS, after which admin clients ask for just these again. */
  comeAgain(key: Key): Answer;
}

/** Answers in the order of the keys; the first is always whole. Without a size they are small. */
export async function askGroups<Key, Answer>(
  timers: Timers,
  keys: readonly Key[],
  ask: (key: Key) => Promise<Answer>,
  size?: AnswerSize<Key, Answer>,
): Promise<Answer[]> {
  let rows = 0;
  const askOne = async (key: Key): Promise<Answer> => {
    if (size === undefined) return ask(key);
    if (rows >= rowsLimit) return size.comeAgain(key);
    const answer = await ask(key);
    const more = size.rowsOf(answer);
    if (rows > 0 && rows + more > rowsLimit) return size.comeAgain(key);
    rows += more;
    return answer;
  };
  const answers: Promise<Answer>[] = [];
  for (let at = 0; at < keys.length; at += sliceSize) {
    if (at > 0) await pause(timers, 0);
    for (const key of keys.slice(at, at + sliceSize)) {
      const answer = askOne(key);
      // Who fails is seen below; until then it is nobody's unhandled rejection.
      answer.catch(() => undefined);
      answers.push(answer);
    }
  }
  return Promise.all(answers);
}
