/** How are answers put on the screen: a table for people, JSON for programs, and never both on one stream? */

/** `--json` of a command: objects go out as they are, one document, with a newline. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, process.stdout.isTTY ? 2 : 0)}\n`);
}

export function printLine(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Columns as wide as their widest cell; numbers to the right, and with them what stands where a number is missing. */
export function tableLines(
  header: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): readonly string[] {
  const columns = header.map((title, column) => ({
    width: Math.max(title.length, ...rows.map((row) => String(row[column]).length)),
    isNumeric: rows.some((row) => typeof row[column] === 'number'),
  }));
  const line = (cells: readonly string[], isHeader: boolean): string =>
    columns
      .map(({ width, isNumeric }, column) => {
        const cell = cells[column] ?? '';
        return isNumeric && !isHeader ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return [line(header, true), ...rows.map((row) => line(row.map(String), false))];
}

export function printTable(header: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  for (const line of tableLines(header, rows)) printLine(line);
}

/** 1234567 → 1,234,567 */
export const grouped = (count: number): string => count.toLocaleString('en-US');
