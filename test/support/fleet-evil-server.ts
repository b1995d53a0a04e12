import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

/** What a server that means ill offers. */
export interface EvilOffer {
  readonly name: string;
  readonly archive: Uint8Array;
  readonly jws: string;
  readonly order: string;
}

export interface EvilServer {
  /** How often each offer was handed out, bundle and order together. */
  offered(): readonly number[];
  stop(): Promise<void>;
}

/** A bundle server in the place of the true one that answers the offers in turn, at once and to everybody. */
export async function startEvilServer(port: number, offers: readonly EvilOffer[]): Promise<EvilServer> {
  const counts = offers.map(() => 0);
  let turn = 0;
  const server = createServer((request, response) => {
    request.resume();
    turn += 1;
    const at = turn % offers.length;
    const offer = offers[at];
    const path = request.url?.split('?')[0] ?? '';
    if (offer === undefined || !path.startsWith('/v1/bundles/authz')) {
      response.writeHead(404).end();
      return;
    }
    counts[at] = (counts[at] ?? 0) + 1;
    if (path.endsWith('/orders')) {
      response.writeHead(200, { 'content-type': 'application/json', etag: `"${turn}"` });
      response.end(JSON.stringify({ order: offer.order, trips: [] }));
      return;
    }
    const etag = `"sha256:${createHash('sha256').update(offer.archive).digest('hex')}"`;
    response.writeHead(200, { 'content-type': 'application/gzip', etag, 'x-sallyport-signature': offer.jws });
    response.end(offer.archive);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    offered: () => counts,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
