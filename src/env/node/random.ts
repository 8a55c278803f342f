/** Where does chance come from, on this machine? */
import { randomBytes } from 'node:crypto';
import type { Random } from '../random.ts';

export const nodeRandom: Random = {
  next: () => Math.random(),
  bytes: (length) => randomBytes(length),
};
