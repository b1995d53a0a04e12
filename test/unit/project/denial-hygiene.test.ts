import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { CLIENT_ANSWERS, type CoreCode, titleOf } from '../../../src/decision/errors.ts';
import { leakOf } from '../../support/denial-hygiene.ts';
import { CheckResponseType } from '../../support/ext-authz-proto.ts';
import { createCheckClient } from '../../support/grpc-client.ts';
import { ask } from '../../support/http-client.ts';
import { startGrpcStub } from '../../support/stub-authorizer.ts';

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const PROBLEM = 'application/problem+json';
const ID = 'f3b0c3d4-0000-4000-8000-000000000001';
const told = { status: 403, title: titleOf('forbidden'), reason: 'forbidden', decision_id: ID };

const problem = (parts: object = {}) => ({
  status: 403,
  contentType: PROBLEM,
  body: JSON.stringify({ ...told, ...parts }),
});
const text = (body: string, contentType?: string) => ({ status: 403, contentType, body });

describe('the check of what denials reveal', () => {
  test.each(Object.keys(CLIENT_ANSWERS))('lets the answer to `%s` pass', (code) => {
    // The keys of CLIENT_ANSWERS are the codes.
    const { status, reason } = CLIENT_ANSWERS[code as CoreCode];
    const body = JSON.stringify({ status, title: titleOf(reason), reason, decision_id: ID });
    expect(leakOf({ status, contentType: PROBLEM, challenge: 'Bearer error="invalid_token"', body })).toBeUndefined();
  });

  test.each([
    ['an empty body', text('')],
    ['a gateway’s own words', text('upstream connect error or disconnect/reset before headers', 'text/plain')],
    ['an answer that is none', { ...text('{"model":"llama-3-8b"}'), status: 200 }],
  ])('lets %s pass', (_what, denial) => {
    expect(leakOf(denial)).toBeUndefined();
  });

  const ERROR = {
    message: 'Rate limit reached: wait before the next request.',
    type: 'rate_limit_error',
    param: null,
    code: 'rate_limit_exceeded',
  };
  const quota = (parts: object = {}) => ({
    status: 429,
    contentType: PROBLEM,
    body: JSON.stringify({
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      ...{ status: 429, title: titleOf('quota_exceeded'), reason: 'quota_exceeded', decision_id: ID },
      ...{ 'violated-policies': ['client-rps'], error: ERROR },
      ...parts,
    }),
  });

  test('lets a refusal by the quota name limits, and only as it is to be written', () => {
    expect(leakOf(quota())).toBeUndefined();
    expect(leakOf(quota({ detail: 'x' }))).toBeDefined();
    expect(leakOf(quota({ type: 'https://policies.test/tenant-b' }))).toBeDefined();
    expect(leakOf(quota({ 'violated-policies': [{ tenant: 'tenant-b' }] }))).toBeDefined();
    expect(leakOf(quota({ error: { ...ERROR, message: 'tenant-b has used it up' } }))).toBeDefined();
    expect(leakOf(problem({ 'violated-policies': ['client-rps'] }))).toBeDefined();
  });

  test.each([
    ['a model in a title', problem({ title: 'llama-3-8b is not yours' })],
    ['a detail', problem({ detail: 'x' })],
    ['a reason of the policy', problem({ reason: 'not_granted' })],
    ['a code of the core', problem({ reason: 'policy_denied' })],
    ['another status than the answer’s', problem({ status: 404 })],
    ['a decision id with a name in it', problem({ decision_id: 'tenant-b' })],
    ['a decision id that is none', problem({ decision_id: 'rule 7' })],
    ['problem details that are none', { ...problem(), body: 'forbidden' }],
    ['a model', text('no mistral-7b for you', 'text/plain')],
    ['a tenant', text('{"error":"not of tenant-b"}', 'application/json')],
    ['an upstream', text('<p>tenant-a-llama-3-8b</p>', 'text/html')],
    ['a reason of a rule', text('other_tenant')],
    ['a package', text('data.tenancy: tenancy says no')],
    ['the engine', text('Rego evaluation failed')],
    ['the product', text('Sallyport 1')],
    ['its version', text('version 0.1.0')],
    ['a code of the core in the challenge', { ...text(''), challenge: 'Bearer error="too_many_refusals"' }],
  ])('finds %s', (_what, denial) => {
    expect(leakOf(denial)).toBeDefined();
  });

  test('fails the test whose HTTP answer has a leak', async () => {
    const server = createServer((_request, response) => {
      response.writeHead(403, { 'content-type': PROBLEM }).end(JSON.stringify({ ...told, rule: 'authz/decision' }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    open.push(() => {
      server.close();
      server.closeAllConnections();
    });
    // A server that listens on TCP has an AddressInfo.
    await expect(ask((server.address() as AddressInfo).port)).rejects.toThrow('reveals something: the member `rule`');
  });

  test('fails the test whose gRPC answer has a leak', async () => {
    const denied = (body: object) =>
      Buffer.from(
        CheckResponseType.encode(
          CheckResponseType.fromObject({
            status: { code: 7 },
            deniedResponse: {
              status: { code: 403 },
              headers: [{ header: { key: 'content-type', value: PROBLEM } }],
              body: JSON.stringify(body),
            },
          }),
        ).finish(),
      );
    let body: object = told;
    const stub = await startGrpcStub(() => denied(body));
    open.push(() => stub.stop());
    const client = createCheckClient(`127.0.0.1:${stub.port}`);
    open.push(() => client.close());
    await client.check(Buffer.alloc(0));
    body = { ...told, title: 'no plan fits for llama-3-8b' };
    await expect(client.check(Buffer.alloc(0))).rejects.toThrow('reveals something: the title');
  });
});
