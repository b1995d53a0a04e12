import { readFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import type { CertificateFiles } from './certificates.ts';

/** Asks one ext_authz gRPC door over one connection of its own. */
export interface CheckClient {
  /** The bytes of the CheckResponse; rejects where the door answers a gRPC error, which it never should. */
  check(bytes: Buffer, options?: CheckOptions): Promise<Buffer>;
  close(): void;
}

export interface CheckOptions extends grpc.CallOptions {
  /** Metadata of the call itself, beside the message. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface CheckClientOptions {
  /** The CA that the door's certificate is of (it names `localhost`), and what the client shows, if anything. */
  readonly tls?: { readonly ca: CertificateFiles; readonly client?: CertificateFiles };
}

export const CHECK_PATH = '/envoy.service.auth.v3.Authorization/Check';

export function createCheckClient(target: string, { tls }: CheckClientOptions = {}): CheckClient {
  const credentials =
    tls === undefined
      ? grpc.credentials.createInsecure()
      : grpc.credentials.createSsl(
          readFileSync(tls.ca.cert),
          tls.client === undefined ? null : readFileSync(tls.client.key),
          tls.client === undefined ? null : readFileSync(tls.client.cert),
        );
  const client = new grpc.Client(target, credentials, {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_send_message_length': -1,
    ...(tls === undefined ? {} : { 'grpc.ssl_target_name_override': 'localhost' }),
  });
  return {
    check: (bytes, { metadata = {}, ...options } = {}) =>
      new Promise((resolve, reject) => {
        const sent = grpc.Metadata.fromHttp2Headers({ ...metadata });
        client.makeUnaryRequest(CHECK_PATH, same, same, bytes, sent, options, (error, answer) => {
          if (error !== null) reject(error);
          else if (answer === undefined) reject(new Error('no answer'));
          else resolve(answer);
        });
      }),
    close: () => client.close(),
  };
}

function same(bytes: Buffer): Buffer {
  return bytes;
}
