import { describe, expect, test } from 'vitest';
import type { AccessRequest } from '../../../src/decision/access-request.ts';
import { CLIENT_ANSWERS, type CoreCode, RequestFault } from '../../../src/decision/errors.ts';
import type { AuthorizePorts, Inspected, InspectionRefused, Offender } from '../../../src/decision/ports.ts';
import type { Authentication, Peer } from '../../../src/decision/principal.ts';
import { accessRequest, anonymous, core, generation, inspected, verified } from '../../support/core.ts';

/** DESIGN §1, "Refusals are not free": whom the core asks the table about, and what it counts there. */

const PEER: Peer = { spiffeId: 'spiffe://td/gateway', trustDomain: 'td', dnsSans: [] };
const ADDRESS = '192.0.2.1';
const refused: Authentication = { kind: 'refused', code: 'invalid_credential', cause: 'test' };

interface Watched {
  readonly code: CoreCode | 'allow';
  readonly cause: string | undefined;
  readonly asked: readonly Offender[];
  readonly counted: readonly Offender[];
}

/** One request with a table that answers `repeated` and remembers what it heard. */
async function watch(
  parts: Partial<AuthorizePorts>,
  { repeated = false, request = {} }: { repeated?: boolean; request?: Partial<AccessRequest> } = {},
): Promise<Watched> {
  const asked: Offender[] = [];
  const counted: Offender[] = [];
  const { authorize } = core({
    refusals: {
      isRepeated: (offender) => {
        asked.push(offender);
        return repeated;
      },
      count: (offender) => void counted.push(offender),
    },
    ...parts,
  });
  const { decision, cause } = await authorize(accessRequest({ sourceAddress: ADDRESS, ...request }));
  return { code: decision.kind === 'allow' ? 'allow' : decision.code, cause, asked, counted };
}

const inspecting = (found: Inspected | InspectionRefused) => ({
  currentGeneration: () =>
    generation({ 'authz/decision': { allow: false }, 'authz/limits': [] }, { inspect: () => found }),
});
const denying = inspecting(inspected());
const refusing = (code: CoreCode) => inspecting({ kind: 'refused', code, cause: 'test', dependsOnRoute: true });

describe('a credential that verifies', () => {
  test.each([
    ['is allowed', {}, 'allow'],
    ['is denied by the policy', denying, 'policy_denied'],
    ['asks for a route that is not there', refusing('unknown_route'), 'unknown_route'],
  ])('is never in question, and never counted: %s', async (_what, parts, code) => {
    const seen = await watch({ authenticate: () => verified(), ...parts }, { repeated: true });
    expect(seen).toMatchObject({ code, asked: [], counted: [] });
  });
});

describe('whoever keeps being refused', () => {
  test.each([
    ['without a credential', anonymous],
    ['with one that does not hold', refused],
    ['while his issuer cannot be asked', { ...refused, code: 'issuer_unavailable' as const }],
  ])('is answered 429 early: %s', async (_what, authentication) => {
    let looked = 0;
    const watched = generation(
      {},
      {
        inspect: () => {
          looked += 1;
          return inspected();
        },
      },
    );
    const seen = await watch(
      { authenticate: () => authentication, currentGeneration: () => watched },
      { repeated: true },
    );
    expect(seen).toMatchObject({ code: 'too_many_refusals', cause: 'too many refusals of this caller' });
    expect(looked).toBe(0);
    expect(CLIENT_ANSWERS.too_many_refusals).toEqual({ status: 429, reason: 'quota_exceeded' });
  });

  test('is not counted for that answer, so that it ends some time after he does', async () => {
    const seen = await watch({ authenticate: () => anonymous }, { repeated: true });
    expect(seen.counted).toEqual([]);
  });

  test('may still ask for a preflight, which has no credential to show', async () => {
    const seen = await watch({ authenticate: () => anonymous }, { repeated: true, request: { method: 'OPTIONS' } });
    expect(seen).toMatchObject({ code: 'allow', asked: [], counted: [] });
  });

  test('with a bad credential is no preflight, whatever its method', async () => {
    const seen = await watch({ authenticate: () => refused }, { repeated: true, request: { method: 'OPTIONS' } });
    expect(seen).toMatchObject({ code: 'too_many_refusals' });
  });
});

describe('a refusal', () => {
  const known = { clientIp: ADDRESS };

  test.each<[string, Partial<AuthorizePorts>, CoreCode]>([
    ['of a credential', { authenticate: () => refused }, 'invalid_credential'],
    ['by the policy', { authenticate: () => anonymous, ...denying }, 'policy_denied'],
    ['of an unknown route', { authenticate: () => anonymous, ...refusing('unknown_route') }, 'unknown_route'],
    [
      'of a malformed request',
      { authenticate: () => anonymous, ...refusing('malformed_request') },
      'malformed_request',
    ],
    ['of a payload', { authenticate: () => anonymous, ...refusing('payload_too_large') }, 'payload_too_large'],
  ])('is counted: %s', async (_what, parts, code) => {
    expect(await watch(parts)).toMatchObject({ code, asked: [known], counted: [known] });
  });

  test.each<[string, Partial<AuthorizePorts>, CoreCode]>([
    [
      'an issuer that cannot be asked',
      { authenticate: () => ({ ...refused, code: 'issuer_unavailable' }) },
      'issuer_unavailable',
    ],
    [
      'a policy without an answer',
      {
        authenticate: () => anonymous,
        currentGeneration: () => generation({ 'authz/decision': undefined, 'authz/limits': [] }),
      },
      'undefined_verdict',
    ],
    [
      'a policy that fails',
      {
        authenticate: () => anonymous,
        currentGeneration: () =>
          generation({
            'authz/limits': () => {
              throw new RequestFault('policy_error', 'test');
            },
          }),
      },
      'policy_error',
    ],
    ['no bundle', { authenticate: () => anonymous, currentGeneration: () => undefined }, 'no_bundle'],
    [
      'a store that cannot be asked',
      {
        authenticate: () => anonymous,
        quota: {
          take: () => ({ kind: 'unavailable', cause: 'test', state: { taken: false, limits: {} } }),
        },
      },
      'quota_unavailable',
    ],
  ])('is not counted where the client can do nothing about it: %s', async (_what, parts, code) => {
    expect(await watch(parts)).toMatchObject({ code, counted: [] });
    expect(CLIENT_ANSWERS[code].status).toBe(503);
  });

  test.each([
    ['the address', anonymous, { clientIp: ADDRESS }],
    ['the peer', { ...anonymous, peer: PEER }, { clientIp: ADDRESS, peer: PEER }],
    ['the key that exists', { ...refused, keyId: 'key-1' }, { clientIp: ADDRESS, keyId: 'key-1' }],
    [
      'key and peer together',
      { ...refused, keyId: 'key-1', peer: PEER },
      { clientIp: ADDRESS, keyId: 'key-1', peer: PEER },
    ],
  ])('counts against %s, and asks about the same', async (_what, authentication, offender) => {
    const seen = await watch({ authenticate: () => authentication, ...denying });
    expect(seen).toMatchObject({ asked: [offender], counted: [offender] });
  });

  test('counts against nobody’s address where none can be believed', async () => {
    const seen = await watch({ authenticate: () => refused, clientIp: () => undefined });
    expect(seen).toMatchObject({ asked: [{}], counted: [{}] });
    expect(Object.keys(seen.counted[0] ?? {})).toEqual([]);
  });

  test('of an unreadable request concerns nobody: nothing of it was read', async () => {
    const counted: Offender[] = [];
    const { authorize } = core({
      refusals: { isRepeated: () => true, count: (offender) => void counted.push(offender) },
    });
    const { decision } = await authorize({ door: 'test', unreadable: { code: 'malformed_request', cause: 'test' } });
    expect(decision).toMatchObject({ code: 'malformed_request' });
    expect(counted).toEqual([]);
  });

  test('stands also when counting it fails: a table that throws makes no Allow', async () => {
    const throwing = (): never => {
      throw new Error('test');
    };
    for (const refusals of [
      { isRepeated: throwing, count: () => undefined },
      { isRepeated: () => false, count: throwing },
    ]) {
      const { authorize } = core({ refusals, authenticate: () => refused });
      expect((await authorize(accessRequest())).decision).toMatchObject({ kind: 'deny', code: 'internal' });
    }
  });
});
