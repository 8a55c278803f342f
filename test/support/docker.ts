/** Is there a Docker engine here, with compose and the images that the composed cluster needs? */
import { spawnSync } from 'node:child_process';

const succeeds = (command: string, args: readonly string[], timeoutMs = 10_000): boolean =>
  spawnSync(command, args, { timeout: timeoutMs, stdio: 'ignore' }).status === 0;

const hasImage = (image: string): boolean =>
  succeeds('docker', ['image', 'inspect', image]) || succeeds('docker', ['pull', '-q', image], 120_000);

/** How compose is called here: a plug-in of docker, or a program of its own (version 1). Null where there is none. */
export function composeExecutable(): { executablePath: string } | { executablePath: string; standalone: true } | null {
  if (succeeds('docker', ['compose', 'version'])) return { executablePath: 'docker' };
  return succeeds('docker-compose', ['version']) ? { executablePath: 'docker-compose', standalone: true } : null;
}

/** Why the composed cluster cannot run here; null when it can. */
export function composeProblem(): string | null {
  if (!succeeds('docker', ['info'])) return 'needs a Docker engine (docker info fails)';
  if (composeExecutable() === null) return 'needs docker-compose, or docker with its compose plug-in';
  const images = [
    process.env.NODE_IMAGE ?? 'node:24-bookworm-slim',
    process.env.ETCD_IMAGE ?? 'quay.io/coreos/etcd:v3.6.11',
  ];
  for (const image of images)
    if (!hasImage(image)) return `needs the image ${image} (or another one by NODE_IMAGE, ETCD_IMAGE)`;
  return null;
}
