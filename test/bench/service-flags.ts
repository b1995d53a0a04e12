import { join } from 'node:path';
import { ROOT } from '../support/tools.ts';

/** Node's flags for Sallyport, as `npm start` and the image start it. */
export const SERVICE_FLAGS: readonly string[] = ['--v8-pool-size=1'];

/** The script of package.json: what Node compiled at one start is there for the next. */
export const START_SCRIPT: string = `NODE_COMPILE_CACHE=node_modules/.cache/node node ${SERVICE_FLAGS.join(' ')} src/main.ts serve --config sallyport.yaml`;

/** How a measured Sallyport is started on a config file. */
export function launchService(configFile: string, before: readonly string[] = []): readonly [string, ...string[]] {
  return [process.execPath, ...SERVICE_FLAGS, ...before, join(ROOT, 'src/main.ts'), 'serve', '--config', configFile];
}
