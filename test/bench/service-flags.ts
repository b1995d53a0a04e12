import { join } from 'node:path';
import { ROOT } from '../support/tools.ts';

/** Node's flags for Sallyport, as `npm start` and the image start it. */
export const SERVICE_FLAGS: readonly string[] = ['--v8-pool-size=1'];

/** How a measured Sallyport is started on a config file. */
export function launchService(configFile: string, before: readonly string[] = []): readonly [string, ...string[]] {
  return [process.execPath, ...SERVICE_FLAGS, ...before, join(ROOT, 'src/main.ts'), 'serve', '--config', configFile];
}
