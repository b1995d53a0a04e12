import { connect, type Socket } from 'node:net';
import { checkDenial } from './denial-hygiene.ts';

/** One answer off a socket; `status` 0 says that the connection was closed without one. */
export interface RawAnswer {
  readonly status: number;
  /** The status line and the header section as they came. */
  readonly head: string;
  readonly body: string;
}

/**
 * Sends bytes as they are: what an HTTP client would refuse or mend reaches the peer. Rejects where a denial of
 * Sallyport's reveals what no client may know.
 */
export interface RawClient {
  /** One request, by whichever connection is free. */
  send(request: Uint8Array): Promise<RawAnswer>;
  close(): void;
}

const NO_ANSWER: RawAnswer = { status: 0, head: '', body: '' };

/** Keeps up to `connections` to a loopback port, each with one request at a time. */
export function createRawClient(port: number, connections = 16): RawClient {
  const all = new Set<RawConnection>();
  const free: RawConnection[] = [];
  const waiting: ((connection: RawConnection) => void)[] = [];
  const acquire = (): Promise<RawConnection> | RawConnection => {
    const idle = free.pop();
    if (idle !== undefined) return idle;
    if (all.size < connections) {
      const added = new RawConnection(port);
      all.add(added);
      return added;
    }
    return new Promise((resolve) => waiting.push(resolve));
  };
  return {
    send: async (request) => {
      const connection = await acquire();
      try {
        return await connection.send(request);
      } finally {
        const next = waiting.shift();
        if (next === undefined) free.push(connection);
        else next(connection);
      }
    },
    close: () => {
      for (const connection of all) connection.close();
    },
  };
}

/** What is asked of a server that frames its answers by content-length, chunks, or the connection's end. */
class RawConnection {
  readonly #port: number;
  #socket: Socket | undefined;
  #received: Buffer = Buffer.alloc(0);
  #settle: ((answer: RawAnswer) => void) | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  async send(request: Uint8Array): Promise<RawAnswer> {
    const socket = this.#open();
    const answer = await new Promise<RawAnswer>((resolve) => {
      this.#settle = resolve;
      socket.write(request);
    });
    const contentType = headerOf(answer.head, 'content-type');
    if (contentType?.startsWith('application/problem+json') === true) {
      checkDenial({ ...answer, contentType, challenge: headerOf(answer.head, 'www-authenticate') });
    }
    if (answer.status === 0 || /^connection: *close/im.test(answer.head)) this.close();
    return answer;
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #open(): Socket {
    if (this.#socket !== undefined && !this.#socket.destroyed && this.#socket.writable) return this.#socket;
    this.#received = Buffer.alloc(0);
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
    this.#socket = socket;
    const end = (): void => {
      if (this.#socket === socket) this.#finish(true);
    };
    socket.setTimeout(15_000, () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      if (this.#socket !== socket) return;
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
      this.#finish(false);
    });
    socket.on('error', end);
    socket.on('close', end);
    return socket;
  }

  #finish(ended: boolean): void {
    const settle = this.#settle;
    if (settle === undefined) return;
    const read = readAnswer(this.#received.toString('latin1'), ended);
    if (read === undefined && !ended) return;
    this.#settle = undefined;
    this.#received = this.#received.subarray(read?.bytes ?? this.#received.length);
    if (ended) this.#socket = undefined;
    settle(read?.answer ?? NO_ANSWER);
  }
}

function readAnswer(text: string, ended: boolean): { readonly answer: RawAnswer; readonly bytes: number } | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = text.slice(0, end);
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1] ?? 0);
  const start = end + 4;
  const length = /^content-length: *(\d+)/im.exec(head)?.[1];
  if (length !== undefined) {
    const bytes = start + Number(length);
    return text.length < bytes ? undefined : { answer: { status, head, body: text.slice(start, bytes) }, bytes };
  }
  if (/^transfer-encoding: *chunked/im.test(head)) {
    const last = text.indexOf('0\r\n\r\n', start);
    return last < 0 ? undefined : { answer: { status, head, body: text.slice(start, last) }, bytes: last + 5 };
  }
  return ended ? { answer: { status, head, body: text.slice(start) }, bytes: text.length } : undefined;
}

function headerOf(head: string, name: string): string | undefined {
  const line = head.split('\r\n').find((one) => one.toLowerCase().startsWith(`${name}:`));
  return line?.slice(name.length + 1).trim();
}

/** A request as bytes; the target and every header go out as they are given, one byte a character. */
export function rawRequest(
  method: string,
  target: string,
  headers: readonly (readonly [string, string])[],
  body = '',
): Buffer {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines}content-length: ${body.length}\r\n\r\n${body}`, 'latin1');
}
