/** `cordwood broker …`: stop, kill and start brokers of a running development cluster, over its control port. */
import { CliError, exitCode } from './exit-code.ts';
import { printJson, printLine } from './output.ts';

export type BrokerAction = 'stop' | 'kill' | 'start';

export interface BrokerCommandOptions {
  /** Base URL of the control port: http://127.0.0.1:9644. */
  readonly control: string;
  readonly json: boolean;
}

const done: Record<BrokerAction, string> = { stop: 'stopped', kill: 'killed', start: 'started' };

export async function controlBroker(action: BrokerAction, id: number, options: BrokerCommandOptions): Promise<void> {
  let answer: Response;
  try {
    answer = await fetch(new URL(`/dev/brokers/${id}/${action}`, options.control), { method: 'POST' });
  } catch {
    throw new CliError(
      `no development cluster answers at ${options.control} (start one: cordwood dev)`,
      exitCode.unreachable,
    );
  }
  const body = (await answer.json().catch(() => ({ error: 'the answer is not JSON' }))) as { error?: string };
  if (!answer.ok) throw new CliError(`broker ${id}: ${body.error ?? answer.statusText}`);
  if (options.json) printJson(body);
  else printLine(`broker ${id} ${done[action]}`);
}
