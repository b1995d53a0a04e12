import { CHECK_METHOD } from '../support/stub-authorizer.ts';
import { encodeCheckRequest, toGrpcFrame } from './check-message.ts';

/** The request that every row asks about: allowed by the shipped policy when its token is one of {@link CLAIMS}. */
const METHOD = 'POST';
const PATH = '/tenant-a/llama-3-8b/infer';
const BODY = '{"prompt":"Name three rivers."}';

/** Tokens outlive a run on a machine that is busy with other things. */
const LIFETIME_SECONDS = 6 * 3600;

export function benchClaims(): { readonly exp: number } & typeof CLAIMS {
  return { ...CLAIMS, exp: Math.floor(Date.now() / 1000) + LIFETIME_SECONDS };
}

export const CLAIMS = { tenant: 'tenant-a', roles: ['inference'], tier: 'premium' } as const;

/** What a client library and Envoy send besides the token; a CheckRequest with one comes to about 1.4 kB. */
const HEADERS = {
  accept: 'application/json',
  'accept-encoding': 'gzip, deflate, br',
  'content-type': 'application/json',
  'content-length': String(BODY.length),
  'user-agent': 'inference-client/4.2 (linux; x64) node/24',
  'accept-language': 'en-GB,en;q=0.8',
  'x-forwarded-for': '203.0.113.7',
  'x-forwarded-proto': 'http',
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  'x-request-id': '3f2b8c0e-6a1d-4e0b-9c54-0c7d2f6b1a90',
};

/** HTTP/2 headers of the gRPC call, as Envoy sends them. */
export const GRPC_HEADERS = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', CHECK_METHOD],
  [':authority', 'sallyport'],
  ['te', 'trailers'],
  ['content-type', 'application/grpc'],
  ['grpc-timeout', '2000m'],
  ['user-agent', 'envoy'],
] as const;

/** The framed CheckRequest. */
export function toGrpcCall(token: string | undefined, path: string = PATH): Buffer {
  const headers = {
    ':authority': 'inference.example.com',
    ':scheme': 'http',
    ...HEADERS,
    'x-envoy-auth-partial-body': 'false',
    ...credential(token),
  };
  return toGrpcFrame(encodeCheckRequest({ method: METHOD, path, headers, body: BODY }));
}

/** The same question as Envoy's HTTP service asks it. */
export function toHttpCall(token: string | undefined): Buffer {
  const headers = {
    host: 'inference.example.com',
    ...HEADERS,
    'x-envoy-auth-partial-body': 'false',
    ...credential(token),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return Buffer.from(`${METHOD} /ext-authz${PATH} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${BODY}`);
}

/** What the service makes of it: the policy contract's input, the token verified already. */
export function allowedInput() {
  return {
    request: {
      method: METHOD,
      path: PATH,
      host: 'inference.example.com',
      scheme: 'http',
      content_type: 'application/json',
      size: { known: true, bytes: BODY.length },
    },
    route: {
      name: 'infer',
      tenant: 'tenant-a',
      model: 'llama-3-8b',
      operation: 'infer',
      params: { tenant: 'tenant-a', model: 'llama-3-8b', operation: 'infer' },
    },
    identity: {
      kind: 'jwt',
      subject: 'test-user',
      issuer: 'https://issuer.test',
      ...CLAIMS,
      scopes: [],
      credentials: [],
    },
    peer: null,
    network: { client_ip: '203.0.113.7' },
    quota: { plan: 0, taken: true, limits: {} },
  };
}

/** The same posted to OPA. */
export function toOpaCall(): Buffer {
  const body = JSON.stringify({ input: allowedInput() });
  const head = `POST /v1/data/authz/decision HTTP/1.1\r\nhost: opa\r\ncontent-type: application/json\r\ncontent-length: ${body.length}`;
  return Buffer.from(`${head}\r\n\r\n${body}`);
}

function credential(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}
