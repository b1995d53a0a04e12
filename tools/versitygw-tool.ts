import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ToolContext, ToolMissing, toolsFolder } from '../src/bundle/opa-tool.ts';

/** An S3 server over a plain folder, which the S3 back end of the bundle server is tested against. */
export const VERSITYGW_VERSION = 'v1.8.0';

/** The program, if it is there and of the right version. */
export async function findVersityGw(env: ToolContext['env']): Promise<string | undefined> {
  const program = join(toolsFolder(env), 'bin/versitygw');
  try {
    // The folder that it was built into tells its version.
    await access(programOf(env));
    await access(program);
    return program;
  } catch {
    return undefined;
  }
}

/** Builds the program from its Go module, which Go checks against its public log of digests. */
export async function fetchVersityGw({ env, report }: ToolContext): Promise<string> {
  await demandGo(env);
  const folder = join(programOf(env), '..');
  const parent = join(folder, '..');
  await mkdir(parent, { recursive: true });
  const scratch = await mkdtemp(join(parent, '.partial-'));
  try {
    report(`versitygw ${VERSITYGW_VERSION}: building \`${MODULE}\` with \`go install\``);
    const options = { env: { ...env, GOBIN: scratch }, timeout: 900_000, maxBuffer: 2 ** 24 };
    await run('go', ['install', `${MODULE}@${VERSITYGW_VERSION}`], options);
    await rm(folder, { recursive: true, force: true });
    await rename(scratch, folder);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  const program = join(toolsFolder(env), 'bin/versitygw');
  await mkdir(join(program, '..'), { recursive: true });
  await rm(`${program}.partial`, { force: true });
  await symlink(join('..', 'versitygw', VERSITYGW_VERSION, 'versitygw'), `${program}.partial`);
  // In one step, so that nobody finds half of it.
  await rename(`${program}.partial`, program);
  return program;
}

const MODULE = 'github.com/versity/versitygw/cmd/versitygw';

const run = promisify(execFile);

function programOf(env: ToolContext['env']): string {
  return join(toolsFolder(env), 'versitygw', VERSITYGW_VERSION, 'versitygw');
}

async function demandGo(env: ToolContext['env']): Promise<void> {
  try {
    await run('go', ['version'], { env, timeout: 60_000 });
  } catch (error) {
    const message = 'it is built from a Go module, and there is no `go` on PATH: install Go (https://go.dev/dl)';
    throw new ToolMissing(message, { cause: error });
  }
}
