import { setFlagsFromString } from 'node:v8';
import { loadConfig } from '../../src/config/load.ts';
import { createService } from '../../src/service.ts';

/**
 * Several real services in one process: each argument is a config file. Before a service starts its file is named on
 * stderr, so that its `listening` lines can be told from those of the others.
 */
setFlagsFromString('--no-allocation-site-pretenuring');
Object.freeze(Object.prototype);

const services = process.argv.slice(2).map((file) => ({ file, service: createService(loadConfig(file, process.env)) }));
process.on('SIGTERM', () => {
  void Promise.all(services.map(({ service }) => service.stop())).then(() => process.exit(0));
});
for (const { file, service } of services) {
  process.stderr.write(`${JSON.stringify({ starting: file })}\n`);
  await service.start();
}
process.stderr.write(`${JSON.stringify({ started: services.length })}\n`);
