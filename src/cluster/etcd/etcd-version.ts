/**
 * Is a member's version one that keeps its promises? Before 3.5.30 and 3.6.11 etcd served stale reads after a pause,
 * lost watch events and revoked leases that were alive (etcd#20418, #15247): good enough to try, not to rely on.
 */
const leastPatch: Readonly<Record<string, number>> = { '3.5': 30, '3.6': 11 };

/** What is wrong with it as a sentence, or null. */
export function versionProblem(version: string): string | null {
  const match = /^(\d+)\.(\d+)\.(\d+)/.exec(version);
  if (!match) return `an etcd member reports the version "${version}", which is not one`;
  const [major, minor, patch] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const isNewer = major > 3 || (major === 3 && minor > 6);
  const least = leastPatch[`${major}.${minor}`];
  if (isNewer || (least !== undefined && patch >= least)) return null;
  return `etcd ${version} can serve stale reads and lose watch events; run 3.5.30, 3.6.11 or later`;
}
