/** Seeds that were red once, and what was wrong: they stay in the tests for as long as they mean the same schedule. */
export const namedSeeds: readonly { readonly seed: number; readonly why: string }[] = [];
