import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toCheckResponse } from '../../src/protocols/ext-authz-grpc/from-decision.ts';
import { toAccessRequest } from '../../src/protocols/ext-authz-grpc/to-access-request.ts';
import { openTestDecider, type TestDecider } from '../support/decider.ts';
import { encodeCheckRequest, isAllowedByEnvoy } from '../support/ext-authz-proto.ts';
import { mutateWireOften } from '../support/mutate-wire.ts';
import { caseCount, createRandom, type Random, seedOf } from '../support/seed.ts';

/** SECURITY row 1: from the bytes of a CheckRequest to those of its answer, through the real service. */
describe('mutants of a CheckRequest, answered by the whole service', () => {
  let decider: TestDecider;
  let allowed: Buffer;
  let denied: readonly (readonly [string, Buffer])[];
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown) => unhandled.push(reason);

  beforeAll(async () => {
    process.on('unhandledRejection', onUnhandled);
    decider = await openTestDecider();
    const claims = { tenant: 'tenant-a', tier: 'premium', roles: ['inference'] };
    const good = await decider.issuer.mint(claims);
    allowed = check(good);
    denied = [
      ['no credential', check(undefined)],
      ['an expired token', check(await decider.issuer.mint({ ...claims, exp: 1 }))],
      ['a token for others', check(await decider.issuer.mint({ ...claims, aud: 'others' }))],
      ['a token of another issuer', check(await decider.issuer.mint({ ...claims, iss: 'https://other.test' }))],
      ['a basic credential', check(undefined, { authorization: 'Basic dXNlcjpwYXNz' })],
      ['a token of no tenant', check(await decider.issuer.mint({ tier: 'premium' }))],
    ];
  });

  afterAll(async () => {
    await decider.close();
    process.off('unhandledRejection', onUnhandled);
  });

  async function isAllowed(bytes: Uint8Array): Promise<boolean> {
    const outcome = await decider.authorize(toAccessRequest(bytes, { believed: true }));
    return isAllowedByEnvoy(toCheckResponse(outcome.decision, outcome.decisionId));
  }

  it('are denied where the request was denied for its credential, and where an allowed one’s was damaged', async () => {
    expect(await isAllowed(allowed)).toBe(true);
    for (const [name, bytes] of denied) expect(await isAllowed(bytes), name).toBe(false);

    const random = createRandom(seedOf('service-mutants'));
    const count = caseCount(50_000);
    const allows: string[] = [];
    for (let index = 0; index < count; index++) {
      const [how, bytes] = random.chance(0.5) ? mutantOfDenied(denied, random) : withDamagedToken(allowed, random);
      if (await isAllowed(bytes)) allows.push(`${how}: ${Buffer.from(bytes).toString('hex')}`);
    }
    console.info(`mutants: ${count}, allowed: ${allows.length}, unhandled rejections: ${unhandled.length}`);
    expect(allows).toEqual([]);
    expect(unhandled).toEqual([]);
  });
});

function mutantOfDenied(denied: readonly (readonly [string, Buffer])[], random: Random): readonly [string, Uint8Array] {
  const [name, bytes] = random.pick(denied);
  const mutant = mutateWireOften(bytes, random);
  return [`${name}, ${mutant.how}`, mutant.bytes];
}

/** Overwrites one to four characters of the token by others of its alphabet; no mutation after it puts them back. */
function withDamagedToken(allowed: Buffer, random: Random): readonly [string, Uint8Array] {
  const bytes = Buffer.from(allowed);
  const start = bytes.indexOf('Bearer ') + 'Bearer '.length;
  const token = /^[\w.-]+/.exec(bytes.toString('latin1', start))?.[0] ?? '';
  for (let times = 1 + random.below(4); times > 0; times--) {
    // The last character of a part has bits that decode to nothing: changing only those must not matter either way.
    const at = start + random.below(token.length);
    const before = bytes[at];
    while (bytes[at] === before) bytes.write(random.pick(ALPHABET), at, 'latin1');
  }
  if (bytes.equals(allowed)) return withDamagedToken(allowed, random);
  return [`damaged token`, bytes];
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'.split('');

function check(token: string | undefined, headers: Readonly<Record<string, string>> = {}): Buffer {
  const body = '{"prompt":"hello"}';
  return encodeCheckRequest({
    attributes: {
      source: { address: { socketAddress: { address: '192.0.2.1', portValue: 40_000 } } },
      request: {
        time: { seconds: 1_700_000_000 },
        http: {
          id: '1',
          method: 'POST',
          path: '/tenant-a/llama-3-8b/infer',
          host: 'gateway.test',
          scheme: 'https',
          protocol: 'HTTP/2',
          size: body.length,
          body,
          headers: {
            'content-type': 'application/json',
            'content-length': String(body.length),
            'x-envoy-auth-partial-body': 'false',
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
            ...headers,
          },
        },
      },
    },
  });
}
