import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** The OPA that bundles are built with: another one would give other bytes. */
export const OPA_VERSION = '1.22.2';

export interface ToolContext {
  readonly env: { readonly [name: string]: string | undefined };
  /** Told what is being done, one line at a time, without newline. */
  readonly report: (line: string) => void;
}

/** A tool that this machine cannot have as it is; the message says what to install. */
export class ToolMissing extends Error {
  override readonly name = 'ToolMissing';
}

/** Where tools are put: `SALLYPORT_TOOLS_DIR`, else `.tools` beside package.json. Absolute. */
export function toolsFolder(env: ToolContext['env']): string {
  const chosen = env['SALLYPORT_TOOLS_DIR'];
  if (chosen === undefined || chosen === '') return fileURLToPath(new URL('../../.tools', import.meta.url));
  if (!isAbsolute(chosen)) throw new ToolMissing('`SALLYPORT_TOOLS_DIR` is not an absolute path');
  return chosen;
}

/** The path of a matching opa: in the tools folder, on PATH, or fetched now. Throws {@link ToolMissing}. */
export async function requireOpa(context: ToolContext): Promise<string> {
  return (await findOpa(context.env)) ?? (await fetchOpa(context));
}

/** A matching opa that is there already; `undefined` when there is none. */
export async function findOpa(env: ToolContext['env']): Promise<string | undefined> {
  const onPath = (env['PATH'] ?? '').split(delimiter).filter(isAbsolute);
  for (const folder of [join(toolsFolder(env), 'bin'), ...onPath]) {
    const candidate = join(folder, 'opa');
    if ((await versionOfOpa(candidate)) === OPA_VERSION) return candidate;
  }
  return undefined;
}

/** Compiles opa with Go's own checks of what it downloads, and puts it in place only when it is whole. */
export async function fetchOpa({ env, report }: ToolContext): Promise<string> {
  const module = `github.com/open-policy-agent/opa@v${OPA_VERSION}`;
  if (!(await runs('go', ['version'], env))) {
    throw new ToolMissing(
      `opa ${OPA_VERSION} is compiled by Go, and there is no \`go\` on PATH: install Go (https://go.dev/dl), or put an opa ${OPA_VERSION} on PATH`,
    );
  }
  const bin = join(toolsFolder(env), 'bin');
  await mkdir(bin, { recursive: true });
  const scratch = await mkdtemp(join(bin, '.opa-'));
  try {
    report(`opa ${OPA_VERSION}: compiling it with \`go install\` (a minute or two)`);
    await run('go', ['install', module], { env: { ...env, GOBIN: scratch, CGO_ENABLED: '0' }, timeout: 900_000 });
    const version = await versionOfOpa(join(scratch, 'opa'));
    if (version !== OPA_VERSION)
      throw new ToolMissing(`\`go install\` gave opa ${version ?? 'nothing'} in place of ${OPA_VERSION}`);
    await rename(join(scratch, 'opa'), join(bin, 'opa'));
    return join(bin, 'opa');
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

const run = promisify(execFile);

async function versionOfOpa(path: string): Promise<string | undefined> {
  try {
    const { stdout } = await run(path, ['version'], { timeout: 30_000 });
    return /^Version: (\S+)$/m.exec(stdout)?.[1];
  } catch {
    // Not there, or not an opa: either way it is none to build with.
    return undefined;
  }
}

async function runs(program: string, args: readonly string[], env: ToolContext['env']): Promise<boolean> {
  try {
    await run(program, [...args], { env, timeout: 30_000 });
    return true;
  } catch {
    return false;
  }
}
