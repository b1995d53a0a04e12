import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';

/**
 * Takes a folder for this process by an abstract socket of Linux, which the kernel takes away with the process, however
 * it ends; answers how to let go. Rejects when another process has it. Containers with networks of their own do not see
 * each other's: a spool is for one instance.
 */
export async function lockSpool(folder: string): Promise<() => Promise<void>> {
  const name = createHash('sha256')
    .update(await realpath(folder))
    .digest('hex')
    .slice(0, 32);
  const server = createServer((socket) => socket.destroy());
  try {
    await listen(server, `\0sallyport-spool-${name}`);
  } catch (cause) {
    const isTaken = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE';
    throw isTaken
      ? new Error(`another process has the spool \`${folder}\`: give every instance a folder of its own`, { cause })
      : new Error(`the spool \`${folder}\` cannot be locked: it needs the abstract sockets of Linux`, { cause });
  }
  server.unref();
  return () => new Promise((resolve) => server.close(() => resolve()));
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
