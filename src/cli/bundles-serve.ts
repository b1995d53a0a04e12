import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { createBundleServer } from '../bundle-server/server.ts';
import { parseStrictJson } from '../identity/strict-json.ts';
import { createLogger } from '../telemetry/logger.ts';
import { startSystemTimer, systemClock } from '../telemetry/system-clock.ts';
import { loadBundleServerConfig } from './bundles-config.ts';
import { EXIT, type Io } from './command.ts';

/** What of the process the server needs. */
export interface BundlesServePorts {
  readonly process: Pick<NodeJS.Process, 'on' | 'exit'>;
}

/** `sallyport bundles serve`: until SIGTERM or SIGINT; a second signal ends it at once. */
export async function serveBundles(configFile: string, io: Io, { process }: BundlesServePorts): Promise<number> {
  const config = loadBundleServerConfig(resolve(io.cwd, configFile), io.env);
  const logger = createLogger({ level: config.log.level });
  const server = createBundleServer({
    config,
    clock: systemClock,
    startTimer: startSystemTimer,
    logger,
    parseJson: parseStrictJson,
    uniqueName: () => randomBytes(12).toString('hex'),
  });
  const stopped = new Promise<void>((resolveStopped, reject) => {
    let stopping = false;
    const stop = (): void => {
      if (stopping) process.exit(EXIT.failed);
      stopping = true;
      server.stop().then(resolveStopped, reject);
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  });
  const { address } = await server.start();
  const where = address.kind === 'unix' ? address.path : `${address.host}:${address.port}`;
  logger.info({ listen: where, bundles: Object.keys(config.bundles) }, 'the bundle server is ready');
  await stopped;
  return EXIT.ok;
}
