/** Is every acknowledged line there, unchanged, in order, once? Compact forms of C2, C3, C8 and C24 for a million lines. */

const newline = 10;
const tab = 9;

/** The lines of a text without their ends, each preceded by its number (from 0) and a tab. An empty rest is no line. */
export function numberedLines(text: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let start = 0; start < text.length; ) {
    const found = text.indexOf(newline, start);
    const end = found < 0 ? text.length : found;
    lines.push(Buffer.concat([Buffer.from(`${lines.length}\t`), text.subarray(start, end)]));
    start = end + 1;
  }
  return lines;
}

export interface LineFault {
  kind: 'missing' | 'duplicate' | 'out of order' | 'unknown';
  /** Its number, or -1 where the record is none of the lines. */
  line: number;
  partition: number;
  offset: number;
}

export interface LinesReport {
  lines: number;
  read: number;
  distinct: number;
  missing: number;
  /** Copies beyond the first; faults only with an idempotent producer. */
  duplicates: number;
  outOfOrder: number;
  unknown: number;
  /** The first 1000. */
  faults: LineFault[];
}

export interface LineRules {
  /** Then a line that is not there is lost. */
  isAllAcknowledged: boolean;
  /** Then no line stands twice and each partition's numbers rise; without it, retries may repeat and overtake. */
  isIdempotent: boolean;
}

export interface PartitionRecords {
  partition: number;
  records: AsyncIterable<{ offset: number; value: Buffer | null }> | Iterable<{ offset: number; value: Buffer | null }>;
}

/** Checks what was read from every partition, each in offset order, against `lines` as `numberedLines` made them. */
export async function checkLines(
  lines: readonly Buffer[],
  partitions: readonly PartitionRecords[],
  { isAllAcknowledged, isIdempotent }: LineRules,
): Promise<LinesReport> {
  const report: LinesReport = {
    ...{ lines: lines.length, read: 0, distinct: 0, missing: 0, duplicates: 0, outOfOrder: 0, unknown: 0, faults: [] },
  };
  const add = (fault: LineFault): void => {
    if (report.faults.length < 1000) report.faults.push(fault);
  };
  const seen = new Uint8Array(lines.length);
  for (const { partition, records } of partitions) {
    let highest = -1;
    for await (const { offset, value } of records) {
      report.read += 1;
      const line = value === null ? -1 : Number(value.subarray(0, value.indexOf(tab)).toString('latin1'));
      if (value === null || lines[line]?.equals(value) !== true) {
        report.unknown += 1;
        add({ kind: 'unknown', line: -1, partition, offset });
        continue;
      }
      if (seen[line] === 1) {
        report.duplicates += 1;
        if (isIdempotent) add({ kind: 'duplicate', line, partition, offset });
        continue;
      }
      seen[line] = 1;
      report.distinct += 1;
      if (line < highest) {
        report.outOfOrder += 1;
        if (isIdempotent) add({ kind: 'out of order', line, partition, offset });
      }
      highest = Math.max(highest, line);
    }
  }
  report.missing = lines.length - report.distinct;
  if (isAllAcknowledged && report.missing > 0)
    for (const [line, isThere] of seen.entries())
      if (isThere === 0) add({ kind: 'missing', line, partition: -1, offset: -1 });
  return report;
}
