import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from './tools.ts';

/** The same tests at SECURITY's long figures: forty times the cases of CI, unless `SALLYPORT_CASES` says otherwise. */
const env = { SALLYPORT_CASES: '40', ...process.env };
const args = [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--testTimeout=0', ...process.argv.slice(2)];
const { status } = spawnSync(process.execPath, args, { cwd: ROOT, env, stdio: 'inherit' });
process.exitCode = status ?? 1;
