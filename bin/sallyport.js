#!/usr/bin/env node
// Plain JavaScript for any Node: finds a Node that can run Sallyport, then runs dist/ if built, else src/.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const built = join(root, 'dist', 'main.js');
const main = existsSync(built) ? built : join(root, 'src', 'main.ts');

if (Number(process.versions.node.split('.')[0]) >= 24) {
  const { run } = await import(main);
  await run();
} else {
  // npm puts the right Node beside us (optionalDependencies); it is used where the machine's own is older.
  const node = [join(root, 'node_modules', '.bin', 'node'), join(root, '..', '.bin', 'node')].find(existsSync);
  if (node === undefined) {
    process.stderr.write(`sallyport: needs Node 24 or newer, this is ${process.version}\n`);
    process.exitCode = 1;
  } else {
    const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    child.on('exit', (code) => process.exit(code ?? 1));
  }
}
