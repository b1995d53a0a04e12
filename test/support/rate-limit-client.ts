import * as grpc from '@grpc/grpc-js';
import { type ClientTls, toGrpcCredentials } from './grpc-client.ts';
import { decodeRateLimitResponse, type ReadRateLimitResponse } from './rate-limit-proto.ts';

/** Asks one rate limit service over one connection of its own. */
export interface RateLimitClient {
  /** Rejects where a gRPC error is answered. */
  ask(bytes: Uint8Array, options?: grpc.CallOptions): Promise<ReadRateLimitResponse>;
  /** The bytes of the answer. */
  askRaw(bytes: Uint8Array, options?: grpc.CallOptions): Promise<Buffer>;
  close(): void;
}

export interface RateLimitClientOptions {
  /** The CA that the door's certificate is of (it names `localhost`), and what the client shows, if anything. */
  readonly tls?: ClientTls;
}

export const SHOULD_RATE_LIMIT = '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit';

export function createRateLimitClient(target: string, { tls }: RateLimitClientOptions = {}): RateLimitClient {
  const client = new grpc.Client(target, toGrpcCredentials(tls), {
    'grpc.use_local_subchannel_pool': 1,
    ...(tls === undefined ? {} : { 'grpc.ssl_target_name_override': 'localhost' }),
  });
  const askRaw = (bytes: Uint8Array, options: grpc.CallOptions = {}): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      const metadata = new grpc.Metadata();
      client.makeUnaryRequest(SHOULD_RATE_LIMIT, same, same, Buffer.from(bytes), metadata, options, (error, answer) => {
        if (error !== null) reject(error);
        else if (answer === undefined) reject(new Error('no answer'));
        else resolve(answer);
      });
    });
  return {
    askRaw,
    ask: async (bytes, options) => decodeRateLimitResponse(await askRaw(bytes, options)),
    close: () => client.close(),
  };
}

function same(bytes: Buffer): Buffer {
  return bytes;
}
