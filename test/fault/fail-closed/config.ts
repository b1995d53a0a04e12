import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { startProgram } from '../../support/programs.ts';
import { ROOT } from '../../support/tools.ts';
import type { Trials } from './matrix.ts';
import { startWith, writeStartFiles } from './start-up.ts';

/** Names that stand for ten others each, eight deep. */
const FLOOD = [
  'x0: &x0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]',
  ...Array.from({ length: 8 }, (_, at) => `x${at + 1}: &x${at + 1} [${Array(10).fill(`*x${at}`).join(', ')}]`),
].join('\n');

/** A config that is a pipe which nobody writes to, and at last garbage. */
async function hang(): Promise<string> {
  const { folder } = await writeStartFiles();
  const pipe = join(folder, 'pipe.yaml');
  execFileSync('mkfifo', [pipe]);
  const program = startProgram(process.execPath, [join(ROOT, 'src/main.ts'), 'serve', '--config', pipe]);
  try {
    // Opening it waits for the service to open its end: from here on it waits for the text.
    const writer = await open(pipe, 'w');
    await new Promise((resolve) => setTimeout(resolve, 300));
    const silent = !program.output().includes('listening');
    await writer.writeFile('doors: [');
    await writer.close();
    const code = await program.ended;
    return `${silent && !program.output().includes('listening') ? 'no door' : 'a door'}, then exit ${code}`;
  } finally {
    await program.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

export const configTrials: Trials = {
  healthy: () => startWith(async () => undefined),
  faults: {
    down: () => startWith(({ configFile }) => rm(configFile)),
    hang,
    garbage: () => startWith(({ configFile }) => writeFile(configFile, randomBytes(4_000))),
    partial: () =>
      startWith(async ({ configFile }) => {
        const text = await readFile(configFile, 'utf8');
        await writeFile(configFile, text.slice(0, text.indexOf('sha256') + 20));
      }),
    reset: () =>
      startWith(({ configFile, config }) =>
        // biome-ignore lint/suspicious/noTemplateCurlyInString: what the config file says
        writeFile(configFile, stringify({ ...config, labels: { region: '${SALLYPORT_TEST_REGION}' } })),
      ),
    full: () =>
      startWith(({ configFile, config }) => writeFile(configFile, `${FLOOD}\n${stringify(config)}\nlabels: *x8\n`)),
    'wrong version': () =>
      startWith(({ configFile, config }) => writeFile(configFile, stringify({ ...config, doors_v2: config['doors'] }))),
  },
};
