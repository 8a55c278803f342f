/** Which partitions are meant? `orders`: all of the topic; `orders:0,2`: these. Several for one topic add up. */
import { CliError, exitCode } from '../exit-code.ts';

/** Topic → its partitions, null for all. */
export type TopicSelection = ReadonlyMap<string, ReadonlySet<number> | null>;

const form = /^([a-zA-Z0-9._-]{1,249})(?::(\d{1,9}(?:,\d{1,9})*))?$/;

export function parseTopicSelection(texts: readonly string[]): TopicSelection {
  const selection = new Map<string, Set<number> | null>();
  for (const text of texts) {
    const [, topic, list] = form.exec(text) ?? [];
    if (topic === undefined) throw new CliError(`${text}: not TOPIC or TOPIC:0,1,2`, exitCode.usage);
    const before = selection.get(topic);
    if (list === undefined || before === null) selection.set(topic, null);
    else selection.set(topic, new Set([...(before ?? []), ...list.split(',').map(Number)]));
  }
  return selection;
}
