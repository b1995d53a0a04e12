import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';
import * as grpc from '@grpc/grpc-js';
import type { CertificateFiles } from './certificates.ts';
import { checkDenial } from './denial-hygiene.ts';
import { decodeCheckResponse } from './ext-authz-proto.ts';

/** Asks one ext_authz gRPC door over one connection of its own. */
export interface CheckClient {
  /**
   * The bytes of the CheckResponse; rejects where the door answers a gRPC error, which it never should, and where a
   * denial reveals what no client may know.
   */
  check(bytes: Buffer, options?: CheckOptions): Promise<Buffer>;
  close(): void;
}

export interface CheckOptions extends grpc.CallOptions {
  /** Metadata of the call itself, beside the message. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface CheckClientOptions {
  /** The CA that the door's certificate is of (it names `localhost`), and what the client shows, if anything. */
  readonly tls?: ClientTls;
}

export interface ClientTls {
  readonly ca: CertificateFiles;
  readonly client?: CertificateFiles;
}

export function toGrpcCredentials(tls: ClientTls | undefined): grpc.ChannelCredentials {
  if (tls === undefined) return grpc.credentials.createInsecure();
  const { ca, client } = tls;
  return grpc.credentials.createSsl(
    readFileSync(ca.cert),
    client === undefined ? null : readFileSync(client.key),
    client === undefined ? null : readFileSync(client.cert),
  );
}

export const CHECK_PATH = '/envoy.service.auth.v3.Authorization/Check';

export function createCheckClient(target: string, { tls }: CheckClientOptions = {}): CheckClient {
  const client = new grpc.Client(target, toGrpcCredentials(tls), {
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
          else {
            try {
              checkAnswer(answer);
              resolve(answer);
            } catch (leak) {
              reject(leak);
            }
          }
        });
      }),
    close: () => client.close(),
  };
}

/** A body that is no problem details is the policy's own word: the doors write none. */
function checkAnswer(bytes: Buffer): void {
  const { deniedResponse } = decodeCheckResponse(bytes);
  if (deniedResponse === undefined) return;
  const headerOf = (name: string): string | undefined =>
    deniedResponse.headers?.find(({ header }) => header.key === name)?.header.value;
  const contentType = headerOf('content-type');
  if (contentType !== 'application/problem+json') return;
  const challenge = headerOf('www-authenticate');
  checkDenial({ status: deniedResponse.status?.code ?? 0, contentType, challenge, body: deniedResponse.body ?? '' });
}

function same(bytes: Buffer): Buffer {
  return bytes;
}

/** A message in gRPC's framing. */
export function frame(message: Uint8Array, compressed = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed, 0);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/**
 * A check by bare HTTP/2, for what a gRPC client would not send; answers the messages that came back. A request left
 * `open` never says that it is whole.
 */
export async function rawCheck(
  port: number,
  frames: readonly Uint8Array[],
  headers: Readonly<Record<string, string>> = {},
  end: 'closed' | 'open' = 'closed',
): Promise<readonly Buffer[]> {
  const session = connect(`http://127.0.0.1:${port}`);
  try {
    return await new Promise((resolve, reject) => {
      session.on('error', reject);
      const stream = session.request({ ...CHECK_HEADERS, ...headers });
      const parts: Buffer[] = [];
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('error', reject);
      stream.on('end', () => resolve(messagesOf(Buffer.concat(parts))));
      for (const one of frames) stream.write(one);
      if (end === 'closed') stream.end();
    });
  } finally {
    session.destroy();
  }
}

const CHECK_HEADERS = { ':method': 'POST', ':path': CHECK_PATH, 'content-type': 'application/grpc', te: 'trailers' };

function messagesOf(framed: Buffer): readonly Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at < framed.length; ) {
    const length = framed.readUInt32BE(at + 1);
    messages.push(framed.subarray(at + 5, at + 5 + length));
    at += 5 + length;
  }
  return messages;
}
