import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '../../src/decision/json.ts';
import { type EnvoyOptions, toEnvoyConfig } from './envoy-config.ts';
import { eventually, type Program, startProgram } from './programs.ts';
import { requireTool } from './tools.ts';

/** A running Envoy. */
export interface Envoy {
  /** The port of a listener, by the name it has in the options. */
  port(listener: string): number;
  /** The value of one counter or gauge; 0 when Envoy never touched it. */
  stat(name: string): Promise<number>;
  /** Asks the admin interface. */
  admin(path: string): Promise<string>;
  output(): string;
  stop(): Promise<void>;
}

/** Starts a real Envoy and waits until its admin interface says it is ready. */
export function startEnvoy(options: EnvoyOptions & { readonly logLevel?: string }): Promise<Envoy> {
  return startBootstrap(toEnvoyConfig(options), options.logLevel);
}

/** The same for a bootstrap of the test's own. */
export async function startBootstrap(bootstrap: JsonObject, logLevel = 'warning'): Promise<Envoy> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-envoy-'));
  const config = join(folder, 'envoy.json');
  const adminFile = join(folder, 'admin-address');
  await writeFile(config, JSON.stringify(bootstrap));
  const program = startProgram(requireTool('envoy'), [
    ...['--config-path', config, '--admin-address-path', adminFile, '--log-level', logLevel],
    ...['--concurrency', '1', '--disable-hot-restart', '--drain-time-s', '1', '--parent-shutdown-time-s', '2'],
  ]);
  const stop = async (): Promise<void> => {
    await program.stop(2_000);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const admin = await waitUntilReady(program, adminFile);
    const ports = await listenerPorts(admin);
    return {
      port: (listener) => {
        const port = ports.get(listener);
        if (port === undefined) throw new Error(`Envoy has no listener \`${listener}\``);
        return port;
      },
      stat: async (name) => {
        const lines = (await admin(`/stats?filter=${encodeURIComponent(`^${name.replaceAll('.', '\\.')}$`)}`)).split(
          '\n',
        );
        return Number(lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? 0);
      },
      admin,
      output: () => program.output(),
      stop,
    };
  } catch (error) {
    await stop();
    throw new Error(`Envoy did not start; its output:\n${program.output()}`, { cause: error });
  }
}

type Ask = (path: string) => Promise<string>;

async function waitUntilReady(program: Program, adminFile: string): Promise<Ask> {
  let hasEnded = false;
  const ended = program.ended.then(() => {
    hasEnded = true;
  });
  const ready = eventually<Ask>(async () => {
    if (hasEnded) throw new Error('Envoy ended');
    const address = (await readFile(adminFile, 'utf8')).trim();
    const admin: Ask = async (path) => (await fetch(`http://${address}${path}`)).text();
    return (await admin('/ready')).startsWith('LIVE') ? admin : undefined;
  }, 30_000);
  const first = await Promise.race([ready, ended]);
  if (first === undefined) {
    ready.catch(() => undefined);
    throw new Error('Envoy ended before it was ready');
  }
  return first;
}

async function listenerPorts(admin: Ask): Promise<ReadonlyMap<string, number>> {
  const text = await admin('/listeners?format=json');
  // The admin interface's documented shape (envoy.admin.v3.Listeners).
  const { listener_statuses = [] } = JSON.parse(text) as {
    listener_statuses?: { name: string; local_address: { socket_address: { port_value: number } } }[];
  };
  return new Map(listener_statuses.map((status) => [status.name, status.local_address.socket_address.port_value]));
}
