import { lstat, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import type { ListenAddress } from './address.ts';

/**
 * Starts listening and answers the bound address (port 0 becomes the real one). A socket file that nobody answers on
 * is removed first; one that is in use, or is no socket, is an Error.
 */
export async function listen(server: Server, address: ListenAddress): Promise<ListenAddress> {
  if (address.kind === 'unix') await removeStaleSocket(address.path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    const listening = (): void => {
      server.off('error', reject);
      resolve();
    };
    if (address.kind === 'unix') server.listen({ path: address.path }, listening);
    else server.listen({ host: address.host, port: address.port }, listening);
  });
  const bound = server.address();
  if (address.kind === 'unix' || bound === null || typeof bound === 'string') return address;
  return { kind: 'tcp', host: bound.address, port: bound.port };
}

/** Removes a unix socket that a dead process left behind; leaves everything else and throws where it is in the way. */
export async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error(`\`${path}\` is in the way and is no socket`);
  if (await isAnswered(path)) throw new Error(`\`${path}\` is in use by another process`);
  await unlink(path).catch((error: unknown) => {
    if (!isErrno(error, 'ENOENT')) throw error;
  });
}

/** Anything but a refused connection counts as an answer: only a socket that is surely dead may go. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => resolve(!isErrno(error, 'ECONNREFUSED') && !isErrno(error, 'ENOENT')));
  });
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
