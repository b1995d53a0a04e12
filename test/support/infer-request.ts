import { encodeCheckRequest } from './ext-authz-proto.ts';

/** A CheckRequest as Envoy sends it for a whole JSON body, everything of it as usual but what the test names. */
export interface InferRequest {
  readonly token?: string;
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly extensions?: Readonly<Record<string, string>>;
  /** Beside the address. */
  readonly source?: Readonly<Record<string, unknown>>;
  /** Beside source, request and extensions. */
  readonly attributes?: Readonly<Record<string, unknown>>;
}

export const INFER_PATH = '/tenant-a/llama-3-8b/infer';

export function inferRequest(parts: InferRequest = {}): Buffer {
  const { token, method = 'POST', path = INFER_PATH, headers = {}, body = '{"prompt":"hello"}' } = parts;
  return encodeCheckRequest({
    attributes: {
      source: { address: { socketAddress: { address: '192.0.2.1', portValue: 40_000 } }, ...parts.source },
      contextExtensions: parts.extensions ?? {},
      ...parts.attributes,
      request: {
        time: { seconds: 1_700_000_000 },
        http: {
          id: '1',
          method,
          path,
          host: 'gateway.test',
          scheme: 'https',
          protocol: 'HTTP/2',
          size: Buffer.byteLength(body),
          body,
          headers: { ...wholeJsonBody(body), ...(token === undefined ? {} : bearer(token)), ...headers },
        },
      },
    },
  });
}

/** The headers by which a gateway says that the body is whole. */
export function wholeJsonBody(body: string): Record<string, string> {
  return {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    'x-envoy-auth-partial-body': 'false',
  };
}

export function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}
