import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ToolContext, ToolMissing, toolsFolder } from '../src/bundle/opa-tool.ts';

/** The service that our door for Envoy's rate limit protocol is compared with; it has no releases. */
export const RATELIMIT_VERSION = 'v1.4.1-0.20260122083618-3fb702589d36';

/** The program, if it is there and of the right version. */
export async function findRateLimit(env: ToolContext['env']): Promise<string | undefined> {
  const program = join(toolsFolder(env), 'bin/ratelimit');
  try {
    // The program does not tell its version; the folder that it was built into does.
    await access(programOf(env));
    await access(program);
    return program;
  } catch {
    return undefined;
  }
}

/** Builds the program from its Go module, which Go checks against its public log of digests. */
export async function fetchRateLimit({ env, report }: ToolContext): Promise<string> {
  await demandGo(env);
  const target = programOf(env);
  const folder = join(target, '..');
  const parent = join(folder, '..');
  await mkdir(parent, { recursive: true });
  const scratch = await mkdtemp(join(parent, '.partial-'));
  try {
    report(`ratelimit ${RATELIMIT_VERSION}: building \`${MODULE}\` with \`go install\``);
    const options = { env: { ...env, GOBIN: scratch }, timeout: 900_000, maxBuffer: 2 ** 24 };
    await run('go', ['install', `${MODULE}@${RATELIMIT_VERSION}`], options);
    await rename(join(scratch, 'service_cmd'), join(scratch, 'ratelimit'));
    await rm(folder, { recursive: true, force: true });
    await rename(scratch, folder);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  const program = join(toolsFolder(env), 'bin/ratelimit');
  await mkdir(join(program, '..'), { recursive: true });
  await rm(`${program}.partial`, { force: true });
  await symlink(join('..', 'ratelimit', RATELIMIT_VERSION, 'ratelimit'), `${program}.partial`);
  // In one step, so that nobody finds half of it.
  await rename(`${program}.partial`, program);
  return program;
}

const MODULE = 'github.com/envoyproxy/ratelimit/src/service_cmd';

const run = promisify(execFile);

function programOf(env: ToolContext['env']): string {
  return join(toolsFolder(env), 'ratelimit', RATELIMIT_VERSION, 'ratelimit');
}

async function demandGo(env: ToolContext['env']): Promise<void> {
  try {
    await run('go', ['version'], { env, timeout: 60_000 });
  } catch (error) {
    const message = 'it is built from a Go module, and there is no `go` on PATH: install Go (https://go.dev/dl)';
    throw new ToolMissing(message, { cause: error });
  }
}
