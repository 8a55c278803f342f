/** /healthz: the process lives and its log can be written. /readyz: it also serves clients as a registered broker. */
import type { HttpAnswer, HttpRequest, HttpServers } from '../env/http.ts';
import type { Address, Listener } from '../env/network.ts';

export interface Health {
  /** Why the process should be started again; null while it is well. */
  readonly sickness: string | null;
  /** Why clients should not be sent here yet; null when they may. */
  readonly unreadiness: string | null;
}

const answerOf = (problem: string | null): HttpAnswer =>
  problem === null
    ? { status: 200, body: { status: 'ok' } }
    : { status: 503, body: { status: 'unavailable', reason: problem } };

export function serveHealth(address: Address, modules: { http: HttpServers; health: () => Health }): Promise<Listener> {
  return modules.http.listen(address, ({ method, path }: HttpRequest): HttpAnswer => {
    if (method !== 'GET' && method !== 'HEAD') return { status: 405, body: { error: 'only GET' } };
    const { sickness, unreadiness } = modules.health();
    if (path === '/healthz') return answerOf(sickness);
    if (path === '/readyz') return answerOf(sickness ?? unreadiness);
    return { status: 404, body: { error: 'there are /healthz and /readyz' } };
  });
}
