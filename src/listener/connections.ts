import type { Server, Socket } from 'node:net';
import type { StartTimer } from '../decision/ports.ts';

export interface DrainOptions {
  readonly startTimer: StartTimer;
  /** How long connections may still finish, in milliseconds; what is left then is cut. */
  readonly graceMs: number;
  /** Called once accepting has stopped; ends connections that are idle, where the protocol knows them. */
  readonly closeIdle?: () => void;
}

/** Every connection of a server, TLS handshakes included. */
export interface Connections {
  count(): number;
  /** Stops accepting, waits for connections to end by themselves, cuts what is left; resolves when all are gone. */
  drain(options: DrainOptions): Promise<void>;
}

/** To be called before the server listens. */
export function trackConnections(server: Server): Connections {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  return {
    count: () => open.size,
    drain: ({ startTimer, graceMs, closeIdle }) =>
      new Promise((resolve) => {
        let cancel: (() => void) | undefined;
        server.close(() => {
          cancel?.();
          resolve();
        });
        closeIdle?.();
        // Nothing was asked on these yet, so nothing is lost.
        for (const socket of open) if (socket.bytesRead === 0) socket.destroy();
        if (open.size === 0) return;
        cancel = startTimer(graceMs, () => {
          for (const socket of open) socket.destroy();
        });
      }),
  };
}
