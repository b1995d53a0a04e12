/**
 * A file server as many write it by hand: `new URL`, then `decodeURIComponent`, then path parameters cut off and dot
 * segments resolved. `node node-url.ts FOLDER` prints its port, then a line for each resource it resolved.
 */
import { existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, posix } from 'node:path';

const root = process.argv[2] ?? '.';

function resolve(target: string): string {
  const { pathname } = new URL(target, 'http://upstream.test');
  const decoded = decodeURIComponent(pathname)
    .replaceAll('\\', '/')
    .replaceAll(/;[^/]*/g, '');
  return posix.normalize(`/${decoded}`).toLowerCase().split('\0')[0] ?? '';
}

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  let resource = '';
  try {
    const path = resolve(request.url ?? '');
    const file = join(root, path);
    if (existsSync(file) && statSync(file).isFile()) resource = path.slice(1);
  } catch {
    // What it cannot read it has not.
  }
  process.stdout.write(`${JSON.stringify({ id: request.headers['x-case'], resource })}\n`);
  response.statusCode = resource === '' ? 404 : 200;
  request.resume();
  request.on('end', () => response.end(resource));
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`);
});
