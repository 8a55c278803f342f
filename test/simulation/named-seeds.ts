/**
 * Seeds that turn red where a fault once found is put back, and what it was. A change of what a world draws gives a
 * seed another schedule: then it is a seed like any other, and the unit tests of the fault remain.
 */
export const namedSeeds: readonly {
  readonly seed: number;
  readonly why: string;
  /** With groups, though this seed draws none (`--groups`). */
  readonly hasGroups?: true;
}[] = [
  { seed: 29, why: 'took writes long after anybody had reached the leader, which had just learned of an old election' },
  { seed: 67, why: 'asked a follower whose records had been deleted to cut below its high watermark' },
  { seed: 151, why: 'kept a broker marked as lossy after it had registered, and ended the controller' },
  { seed: 123, why: 'handed on what a classic member still read, in a group that had changed its protocol twice' },
  { seed: 327, why: 'left a group stable with partitions that nobody read, once its last new member had gone' },
  { seed: 2228, why: 'gave a new broker epoch while the former self was still named by a topic just created' },
  { seed: 2355, why: 'kept what a classic group had shared out when a successor alone moved it to the new protocol' },
  {
    seed: 315226,
    hasGroups: true,
    why: 'took commits of a member that had been removed and came back with what it read',
  },
  {
    seed: 500972,
    hasGroups: true,
    why: 'handed on what a classic member read that had been removed and was let in again',
  },
  {
    seed: 503432,
    hasGroups: true,
    why: 'told offsets long after a leader that was its own controller had been cut off and replaced',
  },
];
