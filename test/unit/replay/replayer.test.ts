import { describe, expect, test } from 'vitest';
import { loggedPaths } from '../../../src/cli/replay/logged-paths.ts';
import { toRouteTable } from '../../../src/cli/replay/route-table.ts';
import { createTry } from '../../../src/decision/trial.ts';
import { DEFAULT_INPUT } from '../../../src/decision-log/loggable.ts';
import { createReplay, type Replayed } from '../../../src/replay/replayer.ts';
import { core, generation, NAMED } from '../../support/core.ts';
import { recorded } from './recorded-lines.ts';

const INFER = { name: 'infer', path: '/{tenant}/{model}/infer', methods: ['POST'], max_bytes: 100, limits: ['rps'] };
const RPS = { name: 'rps', key: ['tenant'], unit: 'requests', kind: 'rate', limit: 10, per_seconds: 1, cost: 1 };
const CHARGE = { ...RPS, scope: 'tenant' };
const LOGGED = { name: 'rps', unit: 'requests', kind: 'rate', limit: 10, cost: 1 };

interface World {
  readonly event?: object;
  readonly input?: object;
  readonly verdict?: unknown;
  readonly charges?: readonly object[];
  readonly paths?: readonly string[];
  readonly routes?: readonly object[];
}

/** An allowed request whose one charge was taken, by the same policy again but for what the test names. */
function replayed(world: World = {}): Promise<Replayed> {
  const { event = {}, input = {}, verdict = { allow: true, reasons: [] }, charges = [CHARGE], paths = [] } = world;
  const { ports } = core();
  const replay = createReplay({
    tryOnce: createTry({ ...ports, monotonicMs: () => 0 }),
    decisions: new Map([['default', NAMED]]),
    logs: loggedPaths(DEFAULT_INPUT),
    capabilities: () => ({ queryChanges: true, upstreamHeaders: 'all' }),
  });
  return replay(recorded({ charges: { plan: 0, plans: [[LOGGED]] }, ...event }, { quota: quota(), ...input }), {
    generation: generation({ 'authz/decision': verdict, 'authz/limits': charges }, { inputPaths: () => paths }),
    routes: toRouteTable({ routes: world.routes ?? [INFER] }),
  });
}

function quota(parts: object = {}, state: object = {}): object {
  const rps = { kind: 'rate', unit: 'requests', limit: 10, remaining: 9, held: 0, wait_ms: 0, reset_ms: 100 };
  const whole = { ...rps, exceeded: false, shadow: false, verified: true, ...state };
  return { plan: 0, taken: true, limits: { rps: whole }, ...parts };
}

const DENIED = { decision: 'deny', code: 'policy_denied', status: 403, reasons: ['tier'] };
const EXCEEDED = {
  event: { decision: 'deny', code: 'quota_exceeded', status: 429, charges: { plans: [[LOGGED]] } },
  input: { quota: quota({ plan: undefined, taken: false }, { remaining: 0, exceeded: true, wait_ms: 50 }) },
};
const UNAVAILABLE = { decision: 'deny', code: 'quota_unavailable', status: 503 };
const UNKNOWN_ROUTE = { decision: 'deny', code: 'unknown_route', status: 404, charges: undefined };

describe('what is answered once more', () => {
  test.each<readonly [string, World, string]>([
    ['an Allow', {}, 'allow'],
    ['an Allow that the policy now denies', { verdict: { allow: false, reasons: ['tier'] } }, 'deny 403 policy_denied'],
    ['a denial that the policy now lifts', { event: DENIED }, 'allow'],
    ['a verdict that cannot be read', { verdict: { allow: 'yes' } }, 'deny 503 invalid_verdict'],
    ['a limit that was exceeded', EXCEEDED, 'deny 429 quota_exceeded'],
    ['a limit that was exceeded and is now larger', { ...EXCEEDED, charges: [{ ...CHARGE, cost: 0 }] }, 'allow'],
    ['a charge that does not fit what was left', { charges: [{ ...CHARGE, cost: 9 }] }, 'allow'],
    ['one that does so by nothing', { charges: [{ ...CHARGE, limit: 5, cost: 6 }] }, 'deny 429 cost_exceeds_limit'],
    ['limits that forget what the route requires', { charges: [] }, 'deny 503 quota_missing'],
    ['charges that cannot be read', { charges: [{ ...CHARGE, unit: 'apples' }] }, 'deny 503 invalid_charges'],
    ['a store that had failed', { event: UNAVAILABLE }, 'deny 503 quota_unavailable'],
    ['a route that is gone', { routes: [] }, 'deny 404 unknown_route'],
    ['a method that is gone', { routes: [{ ...INFER, methods: ['PUT'] }] }, 'deny 405 method_not_declared'],
    ['a bound that is smaller', { routes: [{ ...INFER, max_bytes: 1 }] }, 'deny 413 payload_too_large'],
    ['no route, as before, but another method is known', refusedFor('GET'), 'deny 405 method_not_declared'],
    ['a masked path, by the name of its route', { event: { masked: ['/input/request/path'] } }, 'allow'],
  ])('%s', async (_, world, expected) => {
    const found = await replayed(world);
    if (found.kind !== 'answered') throw new Error(JSON.stringify(found));
    const { kind, status, code } = found.answer;
    expect(kind === 'allow' ? kind : `${kind} ${status} ${code}`).toBe(expected);
  });

  test('an Allow tells what it was charged, by which upstream and with which reasons', async () => {
    const verdict = { allow: true, reasons: ['r'], upstream: 'blue' };
    expect(await replayed({ verdict })).toEqual({
      kind: 'answered',
      answer: {
        kind: 'allow',
        reasons: ['r'],
        upstream: 'blue',
        charged: [{ name: 'rps', unit: 'requests', cost: 1 }],
      },
    });
  });

  test('a refused credential is not the policy’s', async () => {
    for (const code of ['invalid_credential', 'too_many_refusals', 'deadline', 'overloaded', 'no_bundle']) {
      expect(
        await replayed({ event: { decision: 'deny', code, status: 401, charges: undefined }, routes: [] }),
      ).toEqual({ kind: 'core' });
    }
  });

  test('a request that had no route and now has one would ask the policy', async () => {
    expect(await replayed({ event: UNKNOWN_ROUTE })).toEqual({ kind: 'routed' });
  });
});

describe('what an event does not tell', () => {
  test.each<readonly [string, World, string]>([
    ['a masked limit', { event: { masked: ['/input/quota/limits/rps/remaining'] } }, 'masked quota.limits'],
    ['a limit without its level', { input: { quota: quota({}, { remaining: undefined }) } }, 'not_told quota.limits'],
    ['charges that were not logged', { event: { charges: undefined } }, 'not_told charges'],
    ['charges that are damaged', { event: { charges: { plans: [[{ name: 1 }]] } } }, 'not_told charges'],
    [
      'a claim that charges are keyed by',
      { charges: [{ ...CHARGE, key: ['claim:team'] }] },
      'never_logged identity.claims',
    ],
    ['who asked', { input: { identity: {} } }, 'not_told identity.kind'],
    ['who asked, masked', { event: { masked: ['/input/identity/kind'] } }, 'masked identity.kind'],
    ['a decision that the config lacks', { event: { decision_name: 'other' } }, 'not_told policy.decisions'],
    ['the method', { event: { erased: ['/input/request'] } }, 'masked request.method'],
    [
      'a masked path, and a route that is gone',
      { event: { masked: ['/input/request/path'] }, routes: [] },
      'masked request.path',
    ],
    ['what the policy reads', { paths: ['identity.claims.team'] }, 'never_logged identity.claims.team'],
    ['a tenant that the route takes from the token', tokenRoute(), 'masked identity.tenant'],
  ])('%s', async (_, world, expected) => {
    const found = await replayed(world);
    if (found.kind !== 'unknown') throw new Error(JSON.stringify(found));
    expect(found.ignorances.map(({ why, path }) => `${why} ${path}`)).toEqual([expected]);
  });
});

function refusedFor(method: string): World {
  return { event: UNKNOWN_ROUTE, input: { request: { method, path: '/tenant-a/llama-3-8b/infer' } } };
}

function tokenRoute(): World {
  const route = { ...INFER, path: '/infer', tenant: 'token' };
  const request = { method: 'POST', path: '/infer', size: { known: true, bytes: 2 } };
  return { event: { masked: ['/input/identity/tenant'] }, input: { request }, routes: [route] };
}
