import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Io } from '../../../src/cli/command.ts';
import { tellError } from '../../../src/cli/exit-code.ts';
import { createServe } from '../../../src/cli/serve.ts';
import type { Config } from '../../../src/config/config.ts';
import { createService } from '../../../src/service.ts';
import { toServiceConfig } from '../../support/service.ts';
import { SHIPPED } from '../../unit/bundle/shipped.ts';

/** The files that a start reads; a trial spoils one of them. */
export interface StartFiles {
  readonly folder: string;
  readonly configFile: string;
  readonly bundleFile: string;
  /** What the config says, to be written anew with something changed. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** What `sallyport serve` comes to: `allow` where it starts, else `exit CODE`. */
export async function startWith(spoil: (files: StartFiles) => Promise<unknown>): Promise<string> {
  const files = await writeStartFiles();
  try {
    await spoil(files);
    return await serve(files);
  } finally {
    await rm(files.folder, { recursive: true, force: true });
  }
}

/** Config and bundle of a service that starts, in a folder of their own. */
export async function writeStartFiles(): Promise<StartFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-fail-closed-'));
  const bundleFile = join(folder, 'authz.tar.gz');
  await writeFile(bundleFile, SHIPPED);
  const config = {
    ...(await toServiceConfig({ bundleFile, eventsFile: join(folder, 'events.jsonl'), drainDelayMs: 0 })),
    log: { level: 'silent' },
  };
  const configFile = join(folder, 'sallyport.yaml');
  await writeFile(configFile, stringify(config));
  return { folder, configFile, bundleFile, config };
}

async function serve({ folder, configFile }: StartFiles): Promise<string> {
  const io: Io = { stdout: () => undefined, stderr: () => undefined, cwd: folder, env: {} };
  const ignored = { on: () => ignored, exit: () => undefined } as never;
  const command = createServe({ process: ignored, createService: (config) => stoppedAtOnce(config) });
  try {
    return `exit ${await command(['--config', configFile], io)}`;
  } catch (error) {
    return error instanceof Started ? 'allow' : `exit ${tellError(error, 'serve', io)}`;
  }
}

class Started extends Error {}

function stoppedAtOnce(config: Config): ReturnType<typeof createService> {
  const service = createService(config);
  return {
    ...service,
    start: async () => {
      await service.start();
      await service.stop();
      throw new Started();
    },
  };
}

/** Writes half of a file back. */
export async function halve(file: string): Promise<void> {
  const bytes = await readFile(file);
  await writeFile(file, bytes.subarray(0, bytes.length / 2));
}
