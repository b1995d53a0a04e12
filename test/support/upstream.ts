import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What reached the upstream: the oracle of every test that says "denied". */
export interface UpstreamRequest {
  readonly method: string;
  /** The raw request target. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Every header as it came, in order. */
  readonly rawHeaders: readonly string[];
  readonly bodyBytes: number;
}

/** A real HTTP server that counts every request and answers 200 with what it saw, as JSON. */
export interface Upstream {
  readonly port: number;
  /** Requests whose head arrived, also those whose body never ended. */
  count(): number;
  /** Body bytes of all requests together. */
  bodyBytes(): number;
  /** Finished requests, oldest first; at most the last 10,000. */
  readonly seen: readonly UpstreamRequest[];
  reset(): void;
  stop(): Promise<void>;
}

export async function startUpstream(name = 'upstream'): Promise<Upstream> {
  let requests = 0;
  let bytes = 0;
  const seen: UpstreamRequest[] = [];
  const server = createServer({ maxHeaderSize: 128 * 1024, keepAliveTimeout: 60_000 }, (request, response) => {
    requests += 1;
    let bodyBytes = 0;
    request.on('data', (chunk: Buffer) => {
      bodyBytes += chunk.byteLength;
      bytes += chunk.byteLength;
    });
    request.on('end', () => {
      const { method = '', url: path = '', headers, rawHeaders } = request;
      const what: UpstreamRequest = { method, path, headers, rawHeaders, bodyBytes };
      seen.push(what);
      if (seen.length > 10_000) seen.shift();
      response.writeHead(200, { 'content-type': 'application/json', 'x-upstream': name });
      response.end(JSON.stringify(what));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    // A TCP server that listens has an AddressInfo.
    port: (server.address() as AddressInfo).port,
    count: () => requests,
    bodyBytes: () => bytes,
    seen,
    reset: () => {
      requests = 0;
      bytes = 0;
      seen.length = 0;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
