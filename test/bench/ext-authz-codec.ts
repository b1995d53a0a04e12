import { deny, parseVerdict } from '../../src/decision/decision.ts';
import { toCheckResponse } from '../../src/protocols/ext-authz-grpc/from-decision.ts';
import { toAccessRequest } from '../../src/protocols/ext-authz-grpc/to-access-request.ts';
import { CheckRequestType, CheckResponseType, encodeCheckRequest } from '../support/ext-authz-proto.ts';

// What one check costs in the codec, beside protobufjs (its reflection compiles the same code that its static output
// has). Run it alone: `node test/bench/ext-authz-codec.ts`.

const WARM_UP = 30_000;
// Short rounds, of which the best counts: on a shared machine one of them is left in peace.
const CALLS = 500;
const ROUNDS = 300;

const request = encodeCheckRequest({
  attributes: {
    source: { address: { socketAddress: { address: '10.0.0.1', portValue: 45_123 } }, principal: 'spiffe://td/ns/a' },
    destination: { address: { socketAddress: { address: '10.0.0.2', portValue: 8080 } } },
    request: {
      time: { seconds: 1_700_000_000, nanos: 5000 },
      http: {
        id: '12345678901234567890',
        method: 'POST',
        path: '/tenant-a/llama-3-8b/infer',
        host: 'api.example.com',
        scheme: 'https',
        protocol: 'HTTP/2',
        size: 44,
        rawBody: Buffer.from('{"model":"llama-3-8b","max_tokens":100,"a":1}'),
        headers: {
          ':authority': 'api.example.com',
          ':path': '/tenant-a/llama-3-8b/infer',
          ':method': 'POST',
          ':scheme': 'https',
          'user-agent': 'curl/8.1.2',
          accept: '*/*',
          'content-type': 'application/json',
          'content-length': '44',
          'x-forwarded-proto': 'https',
          'x-request-id': '6b0f1e0a-9d9f-4d5b-8a86-0f3c2f1a9c11',
          authorization: `Bearer ${'a'.repeat(600)}`,
          'x-forwarded-for': '10.0.0.1',
          'x-envoy-internal': 'true',
          'x-envoy-auth-partial-body': 'false',
          traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
        },
      },
    },
    metadataContext: {},
    routeMetadataContext: {},
    tlsSession: { sni: 'api.example.com' },
  },
});

const id = '0194f3c2-9d9f-7d5b-8a86-0f3c2f1a9c11';
const allow = parseVerdict(
  { allow: true },
  {
    shape: 'sallyport',
    allowRedirects: false,
    anonymous: false,
    owned: { decisionId: id, tenant: 'tenant-a', roles: ['analyst'] },
    stripHeaders: [],
  },
);
const denial = deny('policy_denied');
const allowBytes = toCheckResponse(allow, id);
const allowObject = CheckResponseType.decode(allowBytes);

function measure(name: string, call: () => unknown): void {
  for (let index = 0; index < WARM_UP; index++) call();
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const started = process.hrtime.bigint();
    for (let index = 0; index < CALLS; index++) call();
    best = Math.min(best, Number(process.hrtime.bigint() - started) / 1000 / CALLS);
  }
  console.log(`${name.padEnd(52)}${best.toFixed(2).padStart(8)} µs`);
}

console.log(
  `CheckRequest of ${request.length} bytes, CheckResponse (allow) of ${allowBytes.length} bytes; best of ${ROUNDS}`,
);
const context = { believed: true };
measure('read: protobufjs decode', () => CheckRequestType.decode(request));
measure('read: toAccessRequest (UTF-8 checked, headers ready)', () => toAccessRequest(request, context));
measure('read: toAccessRequest and attributes', () => {
  const read = toAccessRequest(request, context);
  return 'attributes' in read && read.attributes();
});
measure('write: protobufjs encode of an Allow', () => CheckResponseType.encode(allowObject).finish());
measure('write: Allow', () => toCheckResponse(allow, id));
measure('write: Deny', () => toCheckResponse(denial, id));
