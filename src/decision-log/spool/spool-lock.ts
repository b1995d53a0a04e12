import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readdir, rm, stat } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';

/**
 * Takes a folder, which only its owner may enter, for this process; answers how to let go. Each process listens on a socket
 * of its own in it and then asks all others: one that is refused belongs to a process that is gone, however it ended.
 * Rejects when another answers. Processes on other machines that share the folder are not seen.
 */
export async function lockSpool(folder: string): Promise<() => Promise<void>> {
  const place = await socketFolder(folder);
  const name = `lock-${randomBytes(8).toString('hex')}`;
  const server = createServer((socket) => socket.destroy());
  const release = async (): Promise<void> => {
    // Takes the socket out of the folder too.
    if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()));
    await place.close();
  };
  try {
    await listen(server, place.pathOf(name));
    server.unref();
    const others = (await readdir(folder)).filter((other) => LOCK.test(other) && other !== name);
    const alive = await Promise.all(others.map((other) => answers(place.pathOf(other))));
    if (alive.includes(true)) throw new SpoolTaken();
    // INVARIANT: of two processes the one that listens later sees the other, so that one at most comes to here. Sockets
    // are removed by that one alone, and while it listens: whoever was refused just before it listened is told by its
    // socket, which is gone.
    await stat(join(folder, name));
    for (const other of others) await rm(join(folder, other), { force: true });
    return release;
  } catch (cause) {
    await release();
    throw cause instanceof SpoolTaken
      ? new Error(`another process has the spool \`${folder}\`: give every instance a folder of its own`)
      : new Error(`the spool \`${folder}\` cannot be locked: its file system must take Unix sockets`, { cause });
  }
}

class SpoolTaken extends Error {}

const LOCK = /^lock-[0-9a-f]{16}$/;

interface SocketFolder {
  pathOf(name: string): string;
  close(): Promise<void>;
}

/** The path of a socket has about 100 bytes at the most: a longer one is reached by way of the open folder. */
async function socketFolder(folder: string): Promise<SocketFolder> {
  if (Buffer.byteLength(folder) <= MAX_FOLDER_BYTES) {
    return { pathOf: (name) => join(folder, name), close: async () => {} };
  }
  const opened = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  return { pathOf: (name) => `/proc/self/fd/${opened.fd}/${name}`, close: () => opened.close() };
}

const MAX_FOLDER_BYTES = 80;

/** Only a socket that nobody listens on any more is a dead one: what cannot be told counts as alive. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    const end = (isAlive: boolean): void => {
      socket.destroy();
      resolve(isAlive);
    };
    socket.once('connect', () => end(true));
    socket.once('error', (error) =>
      end(!('code' in error && (error.code === 'ECONNREFUSED' || error.code === 'ENOENT'))),
    );
  });
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
