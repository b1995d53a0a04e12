import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, cp, mkdir, mkdtemp, readFile, realpath, rename, rm, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { OPA_VERSION, type ToolContext, ToolMissing, toolsFolder } from '../src/bundle/opa-tool.ts';

/** The OPA whose conformance cases are written: the one that bundles are built with. */
export const CONFORMANCE_VERSION = OPA_VERSION;

/** The program that judges cases; OPA's own ones, with plans and modules, lie beside it. Of our present source only. */
export async function findConformance(env: ToolContext['env']): Promise<string | undefined> {
  const folder = await folderOf(env);
  const program = join(toolsFolder(env), 'bin/conformance');
  try {
    for (const file of ['cases.ndjson', 'modules.bin']) await access(join(folder, file));
    // The link may still lead to what an earlier source was built into.
    return (await realpath(program)) === (await realpath(join(folder, 'conformance'))) ? program : undefined;
  } catch {
    return undefined;
  }
}

/** Builds our program over OPA's packages, by the digests in its go.sum, and has it write all cases (half a minute). */
export async function fetchConformance({ env, report }: ToolContext): Promise<string> {
  await demandGo(env);
  const folder = await folderOf(env);
  const parent = join(folder, '..');
  await mkdir(parent, { recursive: true });
  const scratch = await mkdtemp(join(parent, '.partial-'));
  try {
    report(`conformance ${CONFORMANCE_VERSION}: building \`tools/conformance\` with \`go build\``);
    const source = join(scratch, 'source');
    for (const name of SOURCES) await cp(join(SOURCE_FOLDER, name), join(source, name));
    const program = join(scratch, 'conformance');
    const options = { cwd: source, env: { ...env, CGO_ENABLED: '0', GOWORK: 'off' }, ...PATIENCE };
    await run('go', ['build', '-trimpath', '-ldflags=-s -w', '-o', program, '.'], options);
    await rm(source, { recursive: true });
    report(`conformance ${CONFORMANCE_VERSION}: compiling the cases to plans and Wasm`);
    await run(program, ['suite', scratch], { env, ...PATIENCE });
    await rm(folder, { recursive: true, force: true });
    // In one step, so that nobody finds half of them.
    await rename(scratch, folder);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return link(folder, env);
}

const SOURCE_FOLDER = fileURLToPath(new URL('./conformance', import.meta.url));
const SOURCES = ['go.mod', 'go.sum', 'main.go'];
const PATIENCE = { timeout: 900_000, maxBuffer: 2 ** 24 };
const STAMP_DIGITS = 12;

const run = promisify(execFile);

/** Named by what is built: another OPA or another source is another folder. */
async function folderOf(env: ToolContext['env']): Promise<string> {
  const digest = createHash('sha256');
  for (const name of SOURCES) {
    const source = await readFile(join(SOURCE_FOLDER, name), 'utf8');
    if (name === 'go.mod' && !source.includes(`open-policy-agent/opa v${CONFORMANCE_VERSION}\n`)) {
      throw new Error(`\`tools/conformance/go.mod\` does not name OPA ${CONFORMANCE_VERSION}`);
    }
    digest.update(source);
  }
  const stamp = digest.digest('hex').slice(0, STAMP_DIGITS);
  return join(toolsFolder(env), 'conformance', `${CONFORMANCE_VERSION}-${stamp}`);
}

async function link(folder: string, env: ToolContext['env']): Promise<string> {
  const program = join(toolsFolder(env), 'bin/conformance');
  await mkdir(join(program, '..'), { recursive: true });
  await rm(`${program}.partial`, { force: true });
  await symlink(join('..', 'conformance', basename(folder), 'conformance'), `${program}.partial`);
  // In one step, so that nobody finds half of it.
  await rename(`${program}.partial`, program);
  return program;
}

async function demandGo(env: ToolContext['env']): Promise<void> {
  try {
    await run('go', ['version'], { env, timeout: 60_000 });
  } catch (error) {
    const message = 'the cases come as a Go module, and there is no `go` on PATH: install Go (https://go.dev/dl)';
    throw new ToolMissing(message, { cause: error });
  }
}
