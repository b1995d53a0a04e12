import { resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { parseArguments } from './arguments.ts';
import { type Command, EXIT } from './command.ts';
import { type Demo, toDemoLines } from './demo-lines.ts';

const HELP = `sallyport serve [--config FILE]

Answers ext_authz checks on the doors that FILE (default: sallyport.yaml) opens, until SIGTERM or SIGINT.
On a signal it first says it is not serving, waits \`operations.drain_delay_ms\`, then lets what runs finish; a second
signal ends it at once.

  sallyport serve --config /etc/sallyport/sallyport.yaml
`;

/** What `serve` runs; `service.ts` makes it. */
export interface ServedService {
  readonly start: () => Promise<void>;
  readonly stop: () => Promise<void>;
  readonly demo: () => Promise<Demo | undefined>;
  /** Tells the operational log of something that nobody caught. */
  readonly uncaught: (kind: string, error: unknown) => void;
}

export interface ServePorts {
  readonly createService: (config: Config) => ServedService;
  readonly process: Pick<NodeJS.Process, 'on' | 'exit'>;
}

/** Makes the command `serve`. */
export function createServe({ createService, process }: ServePorts): Command {
  return async (argv, io) => {
    const { values } = parseArguments(argv, { config: { type: 'string', default: 'sallyport.yaml' } });
    if (values.help === true) {
      io.stdout(HELP);
      return EXIT.ok;
    }
    const config = loadConfig(resolve(io.cwd, values.config), io.env);
    const service = createService(config);
    const stopped = untilStopped(process, service);
    await service.start();
    const demo = await service.demo();
    if (demo !== undefined) {
      io.stdout(`\nTry (the first is answered 200, the second 403):\n\n${toDemoLines(demo).join('\n')}\n`);
    }
    await stopped;
    return EXIT.ok;
  };
}

function untilStopped(process: ServePorts['process'], service: ServedService): Promise<void> {
  // A rejection that nobody awaited is a bug of ours, but its request was denied already: serve on and say so.
  process.on('unhandledRejection', (error) => service.uncaught('unhandledRejection', error));
  process.on('uncaughtException', (error) => {
    service.uncaught('uncaughtException', error);
    process.exit(EXIT.failed);
  });
  return new Promise((resolveStopped, reject) => {
    let stopping = false;
    const stop = () => {
      if (stopping) process.exit(EXIT.failed);
      stopping = true;
      service.stop().then(resolveStopped, reject);
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  });
}
