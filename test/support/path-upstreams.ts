import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { ask } from './http-client.ts';
import { type Program, startProgram } from './programs.ts';
import { isCi, ROOT } from './tools.ts';

/** Real file servers over one folder: what a request's target resolves to is for them to say, each in its own log. */
export interface PathUpstreams {
  readonly ports: Readonly<Record<string, number>>;
  /**
   * What a server resolved of all that it has answered, by the id that the request carried in `x-case`. An empty
   * resource is a 404.
   */
  log(server: string): Promise<readonly Resolved[]>;
  stop(): Promise<void>;
}

export interface Resolved {
  readonly id: string;
  readonly resource: string;
}

const SOURCES = join(ROOT, 'test/support/path-upstreams');
/** At least this many on every machine. */
const LEAST = 3;

/** Serves the named files (and `secret` beside the folder); a server whose language is not there is left out, visibly. */
export async function startPathUpstreams(files: readonly string[]): Promise<PathUpstreams> {
  const scratch = await mkdtemp(join(tmpdir(), 'sallyport-paths-'));
  const site = join(scratch, 'site');
  for (const file of files) {
    await mkdir(dirname(join(site, file)), { recursive: true });
    await writeFile(join(site, file), file);
  }
  await writeFile(join(scratch, 'secret'), 'outside');
  const programs: Record<string, Program> = {};
  const stop = async (): Promise<void> => {
    await Promise.all(Object.values(programs).map((program) => program.stop(1_000)));
    await rm(scratch, { recursive: true, force: true });
  };
  try {
    programs['express'] = startProgram(process.execPath, [join(SOURCES, 'express.ts'), site]);
    programs['node-url'] = startProgram(process.execPath, [join(SOURCES, 'node-url.ts'), site]);
    const python = onPath('python3');
    if (python !== undefined) programs['python'] = startProgram(python, [join(SOURCES, 'server.py'), site]);
    const go = onPath('go');
    if (go !== undefined) {
      const binary = join(scratch, 'go-server');
      // The machine's own cache of builds; no module is fetched, the program has only the standard library.
      execFileSync(go, ['build', '-o', binary, join(SOURCES, 'server.go')], { env: { ...process.env, GOFLAGS: '' } });
      programs['go'] = startProgram(binary, [site]);
    }
    const ports: Record<string, number> = {};
    for (const [name, program] of Object.entries(programs)) {
      ports[name] = Number((await program.waitForLine((line) => line.startsWith('port '))).slice(5));
    }
    if (isCi() && Object.keys(ports).length < LEAST) {
      throw new Error(`fewer than ${LEAST} upstreams: install python3 or go`);
    }
    let marks = 0;
    const log = async (server: string): Promise<readonly Resolved[]> => {
      const program = programs[server];
      if (program === undefined) throw new Error(`no upstream \`${server}\``);
      // Each logs before it answers, so what comes before this mark is all of it.
      marks += 1;
      const mark = `mark-${marks}`;
      await ask(ports[server] ?? 0, { path: '/none', method: 'POST', headers: { 'x-case': mark } });
      await program.waitForLine((line) => line.includes(`"${mark}"`));
      return readLog(program.lines());
    };
    return { ports, log, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function readLog(lines: readonly string[]): readonly Resolved[] {
  return lines.flatMap((line) => {
    if (!line.startsWith('{')) return [];
    const { id, resource }: { id?: unknown; resource?: unknown } = JSON.parse(line);
    return [{ id: String(id), resource: String(resource) }];
  });
}

function onPath(program: string): string | undefined {
  const found = (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter(isAbsolute)
    .map((folder) => join(folder, program))
    .find((file) => existsSync(file));
  if (found === undefined) console.warn(`skipping: the upstream in ${program}, which is not on PATH`);
  return found;
}
