import type { Command } from 'commander';
export function addFailoverCommand(_program: Command): void {}
