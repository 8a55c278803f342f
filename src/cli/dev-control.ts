/**
 * Who may tell a development cluster what to do, and how? HTTP on this machine only:
 *
 *     GET  /healthz                        200 while the process runs
 *     GET  /readyz                         200 when every broker runs, 503 otherwise
 *     GET  /dev/brokers                    [{ id, address, isRunning }]
 *     POST /dev/brokers/<id>/stop          hands leadership on, then stops
 *     POST /dev/brokers/<id>/kill          stops as a crash would
 *     POST /dev/brokers/<id>/start         starts it again on its data
 */
import type { HttpAnswer, HttpRequest } from '../env/http.ts';

export interface ControlledBroker {
  readonly id: number;
  /** host:port for Kafka clients. */
  readonly address: string;
  readonly isRunning: boolean;
}

/** What the control port needs of a development cluster. */
export interface ControlledCluster {
  brokers(): readonly ControlledBroker[];
  stopBroker(id: number): Promise<void>;
  killBroker(id: number): Promise<void>;
  startBroker(id: number): Promise<void>;
}

const action = /^\/dev\/brokers\/(\d+)\/(stop|kill|start)$/;

export async function answerControl(cluster: ControlledCluster, request: HttpRequest): Promise<HttpAnswer> {
  const { method, path } = request;
  if (path === '/healthz') return { status: 200, body: { status: 'ok' } };
  if (path === '/readyz') {
    const isReady = cluster.brokers().every(({ isRunning }) => isRunning);
    return { status: isReady ? 200 : 503, body: { isReady } };
  }
  if (path === '/dev/brokers' && method === 'GET') return { status: 200, body: cluster.brokers() };
  const match = action.exec(path);
  if (match === null) return { status: 404, body: { error: `nothing at ${path}` } };
  if (method !== 'POST') return { status: 405, body: { error: 'use POST' } };
  // A page in a browser on this machine could reach the port; it must not be able to kill brokers.
  if (request.isFromWebPage) return { status: 403, body: { error: 'not for web pages' } };
  const id = Number(match[1]);
  const broker = cluster.brokers().find((one) => one.id === id);
  if (broker === undefined) return { status: 404, body: { error: `there is no broker ${id}` } };
  const wantsRunning = match[2] === 'start';
  if (broker.isRunning === wantsRunning)
    return { status: 409, body: { error: wantsRunning ? 'it is running' : 'it is not running' } };
  if (match[2] === 'start') await cluster.startBroker(id);
  else if (match[2] === 'kill') await cluster.killBroker(id);
  else await cluster.stopBroker(id);
  return { status: 200, body: cluster.brokers().find((one) => one.id === id) ?? null };
}
