/**
 * Which files of src/ break which rule of the house? Pure functions over a set of files, so that each rule can be shown
 * to catch what it is there for. A problem is one line: `path:line: what is wrong`.
 */
import { posix } from 'node:path';
import { type Import, importsOf, type Token, tokensOf } from './source-tokens.ts';

/** Path from the root of the repository, with slashes → text. */
export type Sources = ReadonlyMap<string, string>;

/**
 * cli → broker → cluster → { replication, controller, coordinator } → log → records → env → model
 *       broker → wire → model          cli → console → model
 * Arrows may skip rooms and never turn back; siblings do not import each other.
 */
const belowLog = ['records', 'env', 'model'];
const belowSiblings = ['log', ...belowLog];
const belowCluster = ['replication', 'controller', 'coordinator', ...belowSiblings];
const belowBroker = ['cluster', ...belowCluster, 'wire'];
export const arrows: Readonly<Record<string, readonly string[]>> = {
  cli: ['broker', ...belowBroker, 'console', 'env/node'],
  console: ['model'],
  broker: belowBroker,
  wire: ['model'],
  cluster: belowCluster,
  replication: belowSiblings,
  controller: belowSiblings,
  coordinator: belowSiblings,
  log: belowLog,
  records: ['env', 'model'],
  'env/node': ['env', 'model'],
  env: ['model'],
  model: [],
};

/** Modules from outside, and the only rooms that may use them. Whatever is not here may not be used at all. */
const homes: readonly (readonly [pattern: RegExp, rooms: readonly string[]])[] = [
  [/^node:(fs|fs\/promises|net|http|dgram|perf_hooks|timers|timers\/promises|worker_threads)$/, ['env/node']],
  [/^pino$/, ['env/node']],
  [/^node:(sqlite)$|^@grpc\//, ['cluster']],
  [/^node:(zlib)$|^(snappy|snappyjs|lz4-napi|lz4js|@node-rs\/crc32)$/, ['records']],
  [/^node:(readline|readline\/promises|tty)$|^(commander|kafkajs|@platformatic\/kafka)$/, ['cli']],
  // Linear-time regular expressions, for subscriptions by pattern (KIP-848).
  [/^re2js$/, ['coordinator']],
  [/^node:(assert|buffer|crypto|events|os|path|url|util|process|stream|stream\/promises)$/, Object.keys(arrows)],
  // createRequire, to load a package at its first use or to do without one; the compile cache.
  [/^node:module$/, ['records', 'coordinator', 'cluster', 'cli']],
];

/** What must come through `src/env/`: as a sequence of tokens, and what to use instead. */
const banned: readonly (readonly [sequence: readonly string[], instead: string])[] = [
  [['Date', '.', 'now'], 'Clock.wallMs'],
  [['new', 'Date', '(', ')'], 'Clock.wallMs'],
  [['performance', '.'], 'Clock.monotonicMs'],
  [['process', '.', 'hrtime'], 'Clock.monotonicMs'],
  [['process', '.', 'uptime'], 'Clock.monotonicMs'],
  [['setTimeout'], 'Timers.setTimer'],
  [['setInterval'], 'Timers.setRepeatingTimer'],
  [['setImmediate'], 'Timers.setTimer'],
  [['AbortSignal', '.', 'timeout'], 'Timers.setTimer'],
  [['Math', '.', 'random'], 'Random.next'],
  [['randomUUID'], 'Random.bytes'],
  [['randomBytes'], 'Random.bytes'],
  [['randomInt'], 'Random.next'],
  [['randomFillSync'], 'Random.bytes'],
  [['getRandomValues'], 'Random.bytes'],
];

interface File {
  readonly path: string;
  readonly room: string;
  readonly tokens: readonly Token[];
  readonly imports: readonly Import[];
}

/** `src/env/node/x.ts` → env/node, `src/log/y/x.ts` → log; null outside of src/. */
export function roomOf(path: string): string | null {
  if (path.startsWith('src/env/node/')) return 'env/node';
  const match = /^src\/([^/]+)\//.exec(path);
  return match?.[1] ?? null;
}

/** Every rule asks; reading all of src/ takes a tenth of a second. */
const known = new WeakMap<Sources, File[]>();

function filesOf(sources: Sources): File[] {
  const before = known.get(sources);
  if (before !== undefined) return before;
  const files: File[] = [];
  known.set(sources, files);
  for (const [path, text] of sources) {
    const room = roomOf(path);
    if (room === null || !path.endsWith('.ts')) continue;
    const tokens = tokensOf(text);
    files.push({ path, room, tokens, imports: importsOf(tokens) });
  }
  return files;
}

const isRelative = (specifier: string): boolean => specifier.startsWith('.');
const targetOf = (from: string, specifier: string): string => posix.join(posix.dirname(from), specifier);

/** Imports against the arrows between rooms, out of src/, without `.ts`, or of a file that is not there. */
export function importProblems(sources: Sources): string[] {
  const problems: string[] = [];
  for (const file of filesOf(sources)) {
    const allowed = arrows[file.room];
    if (allowed === undefined) {
      problems.push(`${file.path}:1: there is no room called ${file.room}`);
      continue;
    }
    for (const { specifier, line } of file.imports) {
      if (!isRelative(specifier)) continue;
      const target = targetOf(file.path, specifier);
      const room = roomOf(target);
      const say = (what: string): number => problems.push(`${file.path}:${line}: ${what}`);
      if (room === null) say(`imports ${target}, outside of the rooms of src/`);
      else if (!sources.has(target)) say(`imports ${target}, which is not there`);
      else if (room !== file.room && !allowed.includes(room)) say(`${file.room}/ must not import ${room}/ (${target})`);
    }
  }
  return problems;
}

/** Packages and built-in modules used outside of the rooms that may use them. */
export function moduleProblems(sources: Sources): string[] {
  const problems: string[] = [];
  for (const file of filesOf(sources))
    for (const { specifier, line } of file.imports) {
      if (isRelative(specifier)) continue;
      const rooms = homes.filter(([pattern]) => pattern.test(specifier)).flatMap(([, them]) => them);
      if (rooms.includes(file.room)) continue;
      const where = rooms.length === 0 ? 'nowhere; give it a room in test/tidy/rules.ts' : `in ${rooms.join('/, ')}/`;
      problems.push(`${file.path}:${line}: ${specifier} may be used only ${where}`);
    }
  return problems;
}

/** Clocks, timers and chance that are not handed in. */
export function globalProblems(sources: Sources): string[] {
  const problems: string[] = [];
  for (const { path, room, tokens } of filesOf(sources)) {
    if (room === 'env/node') continue;
    tokens.forEach(({ kind, line }, at) => {
      if (kind !== 'word') return;
      for (const [sequence, instead] of banned)
        if (sequence.every((text, i) => tokens[at + i]?.text === text && tokens[at + i]?.kind !== 'string'))
          problems.push(`${path}:${line}: ${sequence.join('')} is banned here, use ${instead}`);
    });
  }
  return problems;
}

/** Files that import each other in a circle, types included; each circle once. */
export function cycleProblems(sources: Sources): string[] {
  const graph = graphOf(sources);
  const problems: string[] = [];
  const finished = new Set<string>();
  const walk = (path: string, trail: readonly string[]): void => {
    const seen = trail.indexOf(path);
    if (seen >= 0) {
      problems.push(`${path}:1: import cycle ${[...trail.slice(seen), path].join(' → ')}`);
      return;
    }
    if (finished.has(path)) return;
    for (const next of graph.get(path) ?? []) walk(next, [...trail, path]);
    finished.add(path);
  };
  for (const path of graph.keys()) walk(path, []);
  return problems;
}

/** Files that nothing reaches from the entry points. */
export function deadFileProblems(sources: Sources, entryPoints: readonly string[]): string[] {
  const graph = graphOf(sources);
  const reached = new Set<string>();
  const visit = (path: string): void => {
    if (reached.has(path)) return;
    reached.add(path);
    for (const next of graph.get(path) ?? []) visit(next);
  };
  for (const entryPoint of entryPoints) visit(entryPoint);
  const missing = entryPoints.filter((path) => !sources.has(path)).map((path) => `${path}:1: no such entry point`);
  const dead = [...graph.keys()].filter((path) => !reached.has(path));
  return [...missing, ...dead.map((path) => `${path}:1: nothing imports it on a way from ${entryPoints.join(', ')}`)];
}

function graphOf(sources: Sources): Map<string, string[]> {
  return new Map(
    filesOf(sources).map(({ path, imports }) => [
      path,
      imports.filter(({ specifier }) => isRelative(specifier)).map(({ specifier }) => targetOf(path, specifier)),
    ]),
  );
}

/** Rooms without README.md, barrels, names that are not kebab-case, files that do not say what they are for. */
export function layoutProblems(sources: Sources): string[] {
  const problems: string[] = [];
  const rooms = new Set<string>();
  for (const [path, text] of sources) {
    const room = roomOf(path);
    if (room === null || !path.endsWith('.ts')) continue;
    rooms.add(room === 'env/node' ? 'env' : room);
    const name = posix.basename(path);
    if (name === 'index.ts') problems.push(`${path}:1: a barrel; import the files themselves`);
    // `00-produce.ts` is kebab-case too: a Kafka api is named by its key.
    if (!/^[a-z0-9]+(-[a-z0-9]+)*\.ts$/.test(name)) problems.push(`${path}:1: file names are kebab-case`);
    if (!/^(#!.*\n)?\s*\/[/*]/.test(text) && !/\n\/\*\*/.test(text.slice(0, 4000)))
      problems.push(`${path}:1: the first lines must say what question the file answers`);
  }
  for (const room of rooms)
    if (!sources.has(`src/${room}/README.md`)) problems.push(`src/${room}/README.md:1: every room says why it exists`);
  return problems;
}

/** Words that only mean something where somebody happened to work, and promises without a number. */
export function wordProblems(texts: Sources): string[] {
  const problems: string[] = [];
  const words: readonly (readonly [pattern: RegExp, why: string])[] = [
    [/\.\.\/shared\b/, 'a path outside of the repository'],
    [/\/work\//, 'a path of somebody’s machine'],
    [/\b(TODO|FIXME|XXX)\b(?!\(#\d+\))/, 'a promise without the number of an issue'],
  ];
  for (const [path, text] of texts)
    text.split('\n').forEach((line, at) => {
      for (const [pattern, why] of words) if (pattern.test(line)) problems.push(`${path}:${at + 1}: ${why}`);
    });
  return problems;
}
