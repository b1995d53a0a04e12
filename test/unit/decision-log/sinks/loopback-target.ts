import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

/** A request that a target got, its body unpacked. */
export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  /** Tells connections apart. */
  readonly port: number;
}

/** A server on this machine that takes events as the test says. */
export interface LoopbackTarget {
  readonly url: string;
  readonly received: readonly Received[];
  stop(): Promise<void>;
}

export type Answering = (received: Received, response: ServerResponse, at: number) => void;

/** Answers 200 with nothing unless told otherwise. */
export async function startTarget(
  answer: Answering = (_, response) => void response.writeHead(200).end(),
  tls?: { readonly cert: Buffer; readonly key: Buffer; readonly ca?: Buffer },
): Promise<LoopbackTarget> {
  const received: Received[] = [];
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const packed = Buffer.concat(chunks);
      const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(packed) : packed;
      const { method = '', url = '', headers, socket } = request;
      const one = { method, url, headers, body: body.toString(), port: socket.remotePort ?? 0 };
      received.push(one);
      answer(one, response, received.length - 1);
    });
  };
  const mutual = tls?.ca === undefined ? {} : { requestCert: true, rejectUnauthorized: true };
  const server = tls === undefined ? createServer(listener) : createTlsServer({ ...tls, ...mutual }, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A server that listens on TCP has such an address.
  const { port } = server.address() as AddressInfo;
  return {
    url: tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`,
    received,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
