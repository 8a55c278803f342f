/**
 * What has to be there before `npm start` and `npm test` can run, and how does it get there?
 *
 * Runs as `prestart` and `pretest` with whatever Node npm itself runs on, so it is plain JavaScript with no dependency:
 * it installs what package-lock.json names when that has not been done yet, one package of which is the Node 24 that
 * everything else runs on (npm puts node_modules/.bin first on the path of its scripts). A prerequisite that is missing
 * is named together with the command that mends it. Where node_modules is a symbolic link, as in a worktree that shares
 * it, nothing is installed: that would put another tree's packages in the place of those that others are running.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const lockFile = join(root, 'package-lock.json');
const modules = join(root, 'node_modules');
// npm writes this file last, so one that is older than the lock file means an install that is missing or was cut short.
const installed = join(modules, '.package-lock.json');
const oldestNodeForNpm = 18;
const nodeOfTheProject = 24;

function stop(problem, mend) {
  console.error(`\ncordwood: ${problem}\n  To mend it: ${mend}\n`);
  process.exit(1);
}

const isShared = () => lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;

/** A lock file is as old as its checkout, and that of a worktree is younger than what it shares: only lacks count. */
function useShared() {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const lacking = Object.keys({ ...dependencies, ...devDependencies }).filter(
    (name) => !existsSync(join(modules, name, 'package.json')),
  );
  if (lacking.length > 0)
    stop(
      `${modules} is a symbolic link, and where it leads there is no ${lacking.join(', no ')}`,
      'run `npm ci` in the tree it leads to, or remove the link',
    );
  console.error(`cordwood: node_modules is a link to ${realpathSync(modules)}: used as it is, nothing is installed`);
}

const isInstalled = () => existsSync(installed) && statSync(installed).mtimeMs >= statSync(lockFile).mtimeMs;

const causes = [
  [
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ERR_SOCKET_TIMEOUT|network/,
    'the npm registry cannot be reached',
    'check the network, or name a mirror with `npm config set registry URL`; then run `npm ci`',
  ],
  [/EACCES|EPERM/, `${root} may not be written to`, `run \`sudo chown -R "$(id -un)" "${root}"\`, then \`npm ci\``],
  [/ENOSPC/, 'the disk is full', 'free about 600 MB, then run `npm ci`'],
  [
    /CERT|SELF_SIGNED|UNABLE_TO_VERIFY/,
    'the certificate of the npm registry is not trusted',
    'run `export NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt`, then `npm ci`',
  ],
  [/EUSAGE|in sync/, 'package-lock.json does not match package.json', 'run `npm install`'],
];

function install() {
  console.error('cordwood: installing dependencies (npm ci), only this once …');
  const npm = process.env.npm_execpath;
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  // Its output goes to standard error: standard output belongs to the command that follows.
  const options = { cwd: root, stdio: ['ignore', 2, 'pipe'], encoding: 'utf8' };
  const run = npm ? spawnSync(process.execPath, [npm, ...args], options) : spawnSync('npm', args, options);
  if (run.error) stop(`npm cannot be run: ${run.error.message}`, 'install Node.js with npm from https://nodejs.org');
  if (run.status === 0) return;
  if (run.signal) process.exit(130);
  for (const [pattern, problem, mend] of causes) if (pattern.test(run.stderr)) stop(problem, mend);
  console.error(run.stderr.trim());
  stop('`npm ci` failed, for the reason above', 'run `npm ci` by itself and read what it says');
}

const [major] = process.versions.node.split('.').map(Number);
if (major < oldestNodeForNpm)
  stop(
    `Node ${process.versions.node} is too old to install the dependencies; ${oldestNodeForNpm} or newer is needed`,
    'install a current Node.js from https://nodejs.org (for example `nvm install 24`)',
  );
if (!existsSync(lockFile)) stop('package-lock.json is missing', 'run `git checkout package-lock.json`');
if (isShared()) useShared();
else if (!isInstalled()) install();

const node = join(modules, '.bin', process.platform === 'win32' ? 'node.cmd' : 'node');
const probe = spawnSync(node, ['--version'], { encoding: 'utf8', shell: process.platform === 'win32' });
const found = probe.status === 0 ? probe.stdout.trim() : 'none that runs';
if (!(Number(found.slice(1).split('.')[0]) >= nodeOfTheProject))
  stop(
    `Node ${nodeOfTheProject} is needed in node_modules/.bin, and there is ${found}`,
    'run `npm ci --foreground-scripts --ignore-scripts=false`',
  );
