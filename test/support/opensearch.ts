import { chown, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findJava } from '../../tools/java.ts';
import { findOpenSearch, OPENSEARCH_JAVA } from '../../tools/opensearch-tool.ts';
import { freePorts } from './ports.ts';
import { eventually, type Program, startProgram } from './programs.ts';
import { toolOrSkip } from './tools.ts';

/** An OpenSearch of a test, without its security plugin, on a port and folder that it keeps. */
export interface OpenSearch {
  readonly url: string;
  ask(path: string, method?: string, body?: unknown): Promise<unknown>;
  /** SIGKILL. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  remove(): Promise<void>;
}

/** What the server needs of this machine; `undefined` with a line on the console where the tests are skipped. */
export async function openSearchOrSkip(): Promise<{ readonly home: string; readonly javaHome: string } | undefined> {
  const home = await findOpenSearch(process.env);
  const javaHome = await findJava(OPENSEARCH_JAVA, process.env);
  if (home !== undefined && javaHome !== undefined) return { home, javaHome };
  console.warn(`skipping: OpenSearch is not in .tools/, or there is no Java ${OPENSEARCH_JAVA}: run \`npm run tools\``);
  return undefined;
}

export async function startOpenSearch({
  home,
  javaHome,
}: {
  readonly home: string;
  readonly javaHome: string;
}): Promise<OpenSearch> {
  const [port = 0, transportPort = 0] = await freePorts(2);
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-opensearch-'));
  const url = `http://127.0.0.1:${port}`;
  const config = join(folder, 'config');
  await cp(join(home, 'config'), config, { recursive: true });
  await writeFile(join(config, 'opensearch.yml'), settingsOf(folder, port, transportPort));
  // The file of the distribution writes collector logs into its own folder.
  await writeFile(join(config, 'jvm.options'), jvmOptions(folder));
  const drop = await unprivileged([folder, config, join(folder, 'data'), join(folder, 'logs'), join(folder, 'tmp')]);

  const start = async (): Promise<Program> => {
    const program = startProgram('env', [...drop, join(home, 'bin/opensearch')], {
      cwd: folder,
      env: {
        OPENSEARCH_PATH_CONF: config,
        OPENSEARCH_JAVA_HOME: javaHome,
        JAVA_HOME: javaHome,
        OPENSEARCH_TMPDIR: join(folder, 'tmp'),
        OPENSEARCH_JAVA_OPTS: '-Xms384m -Xmx384m',
      },
    });
    try {
      await eventually(
        async () => (await fetch(`${url}/_cluster/health?wait_for_status=yellow`)).ok || undefined,
        90_000,
      );
    } catch (cause) {
      throw new Error(`opensearch did not start; its output:\n${program.output()}`, { cause });
    }
    return program;
  };
  let program = await start();

  return {
    url,
    ask: async (path, method = 'GET', body?: unknown) => {
      const init = body === undefined ? { method } : { method, body: JSON.stringify(body), headers: JSON_BODY };
      return (await fetch(`${url}${path}`, init)).json();
    },
    kill: async () => {
      program.signal('SIGKILL');
      await program.ended;
    },
    restart: async () => {
      await program.stop();
      program = await start();
    },
    remove: async () => {
      await program.stop(2_000);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const JSON_BODY = { 'content-type': 'application/json' };
const NOBODY = 65_534;
/** It refuses to run as root: the words that make it run as nobody, who is given the folders. */
async function unprivileged(folders: readonly string[]): Promise<readonly string[]> {
  for (const folder of folders) {
    await mkdir(folder, { recursive: true });
    if (process.getuid?.() === 0) await chown(folder, NOBODY, NOBODY);
  }
  if (process.getuid?.() !== 0) return [];
  const setpriv = toolOrSkip('setpriv');
  if (setpriv === undefined) throw new Error('opensearch does not run as root, and there is no `setpriv`');
  return [setpriv, `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
}

function settingsOf(folder: string, port: number, transportPort: number): string {
  return [
    'discovery.type: single-node',
    'network.host: 127.0.0.1',
    `http.port: ${port}`,
    `transport.port: ${transportPort}`,
    `path.data: ${join(folder, 'data')}`,
    `path.logs: ${join(folder, 'logs')}`,
    'cluster.routing.allocation.disk.threshold_enabled: false',
    '',
  ].join('\n');
}

function jvmOptions(folder: string): string {
  return [
    '-XX:+UseSerialGC',
    `-Djava.io.tmpdir=${join(folder, 'tmp')}`,
    '--add-modules=jdk.incubator.vector',
    '-javaagent:agent/opensearch-agent.jar',
    '',
  ].join('\n');
}
