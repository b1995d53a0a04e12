import { randomBytes } from 'node:crypto';
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How a server of files goes wrong; `slow` and `hang` outlast every patience. */
export type Misbehaviour = 'slow' | 'hang' | 'garbage' | 'partial' | 'reset' | 'full' | 'stalled';

export interface FileServer {
  readonly url: string;
  /** From now on this content, well served. */
  serve(content: Uint8Array): void;
  /** From now on the content in this manner. */
  misbehave(how: Misbehaviour): void;
  stop(): Promise<void>;
}

/** A loopback server of one file; longer than {@link PATIENCE_MS} is longer than anybody waits for it. */
export async function startFileServer(content: Uint8Array): Promise<FileServer> {
  let served = Buffer.from(content);
  let answer: RequestListener = good;
  const timers = new Set<NodeJS.Timeout>();
  const later = (delayMs: number, run: () => void): void => {
    timers.add(setTimeout(run, delayMs));
  };

  function good(_incoming: unknown, outgoing: ServerResponse): void {
    outgoing.end(served);
  }
  const half = (): Buffer => served.subarray(0, Math.ceil(served.length / 2));
  const misbehaviours: Readonly<Record<Misbehaviour, RequestListener>> = {
    slow: (_incoming, outgoing) => later(PATIENCE_MS * 4, () => outgoing.end(served)),
    hang: () => undefined,
    garbage: (_incoming, outgoing) => outgoing.end(randomBytes(2_000)),
    // Complete for HTTP, and only half of the file.
    partial: (_incoming, outgoing) => outgoing.end(half()),
    reset: (_incoming, outgoing) => {
      outgoing.writeHead(200, { 'content-length': served.length });
      outgoing.write(half(), () => outgoing.socket?.resetAndDestroy());
    },
    full: (_incoming, outgoing) => {
      const chunk = Buffer.alloc(65_536, ' ');
      outgoing.on('drain', () => outgoing.write(chunk));
      while (outgoing.write(chunk));
    },
    stalled: (_incoming, outgoing) => {
      outgoing.writeHead(200, { 'content-length': served.length });
      outgoing.write(half());
    },
  };

  const server = createServer((incoming, outgoing) => {
    outgoing.on('error', () => undefined);
    answer(incoming, outgoing);
  });
  await listen(server);
  return {
    // A server that listens on TCP has an AddressInfo.
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`,
    serve: (next) => {
      served = Buffer.from(next);
      answer = good;
    },
    misbehave: (how) => {
      answer = misbehaviours[how];
    },
    stop: () =>
      new Promise((resolve) => {
        for (const timer of timers) clearTimeout(timer);
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** What the trials configure as the longest that one download may take. */
export const PATIENCE_MS = 300;

function listen(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
}
