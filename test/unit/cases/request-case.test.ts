import { describe, expect, test } from 'vitest';
import { CaseError } from '../../../src/cases/case-error.ts';
import { joinCases, parseCaseFile } from '../../../src/cases/case-file.ts';
import { explanationOf, linesText } from '../../../src/cases/explanation.ts';
import { parseRequestCases, runRequestCase } from '../../../src/cases/request-case.ts';
import type { Generation } from '../../../src/decision/ports.ts';
import { createTry } from '../../../src/decision/trial.ts';
import { core, generation, inferRoute, inspected } from '../../support/core.ts';
import { eventOf } from '../../support/events.ts';

const tryOnce = createTry({ ...core().ports, monotonicMs: () => 0 });
const charge = {
  name: 'rps',
  key: ['tenant'],
  unit: 'requests',
  kind: 'rate',
  limit: 10,
  per_seconds: 1,
  cost: 1,
  scope: 'tenant',
};
const burst = { ...charge, name: 'burst', kind: 'window', limit: 5, cost: 2, on_failure: 'allow' };

/** Allows tenant-a, denies all others with a reason, and charges `rps`, or else `burst` alone. */
const decided: Generation = generation(
  {
    'authz/limits': { plans: [[charge, burst], [burst]] },
    'authz/decision': (input: { identity(): { tenant?: string } }) =>
      input.identity().tenant === 'tenant-a'
        ? { allow: true, upstream: 'cluster-a', response_headers: { 'x-seen': 'yes' } }
        : { allow: false, reasons: ['other_tenant'], status: 403 },
  },
  { inspect: () => inspected({ route: { ...inferRoute, requiredLimits: ['burst'] } }) },
);

const alice = { subject: 'alice', tenant: 'tenant-a', tier: 'premium', roles: ['analyst'] };
const base = { name: 'one', identity: alice, request: { path: '/tenant-a/m/infer', body: { prompt: 'hi' } } };

async function failuresOf(parts: Readonly<Record<string, unknown>>): Promise<readonly string[]> {
  const [one] = parseRequestCases([{ ...base, ...parts }], 'here');
  if (one === undefined) throw new Error('no case was read');
  return (await runRequestCase(one, decided, tryOnce, (outcome) => eventOf(outcome))).failures;
}

describe('a request case', () => {
  test.each<[string, Readonly<Record<string, unknown>>]>([
    ['of an Allow', { expect: { decision: 'allow' } }],
    ['of its headers', { expect: { decision: 'allow', headers: { 'X-Sallyport-Tenant': 'tenant-a', 'x-no': null } } }],
    ['of its upstream', { expect: { decision: 'allow', upstream: 'cluster-a' } }],
    [
      'of headers of the answer',
      { expect: { decision: 'allow', response_headers: { 'x-seen': 'yes', 'x-no': null } } },
    ],
    ['of charges by name', { expect: { decision: 'allow', plan: 0, charges: ['burst', 'rps'] } }],
    ['of their terms', { expect: { decision: 'allow', charges: { rps: { cost: 1, key: ['tenant'] }, burst: {} } } }],
    ['of the event', { expect: { decision: 'allow', event: { decision: 'allow', door: 'case' } } }],
    [
      'of a denial',
      { identity: { ...alice, tenant: 'b' }, expect: { decision: 'deny', status: 403, reasons: ['other_tenant'] } },
    ],
    ['of the anonymous', { identity: 'anonymous', expect: { decision: 'deny', status: 503, code: 'invalid_charges' } }],
    [
      'of a refused credential',
      { identity: { refused: 'issuer_unavailable' }, expect: { decision: 'deny', code: 'issuer_unavailable' } },
    ],
    [
      'where one limit is exceeded and another plan fits',
      { quota: { rps: 'exceeded' }, expect: { decision: 'allow', plan: 1, charges: ['burst'] } },
    ],
    [
      'where none fits',
      {
        quota: { burst: { remaining: 1, wait_ms: 3000 } },
        expect: { decision: 'deny', code: 'quota_exceeded', plan: null },
      },
    ],
    ['where just enough is left', { quota: { burst: { remaining: 2 } }, expect: { decision: 'allow', plan: 0 } }],
    [
      'where a limit is in shadow',
      { quota: { rps: { exceeded: true, shadow: true } }, expect: { decision: 'allow', plan: 0 } },
    ],
    [
      'where the store fails for a limit that denies',
      { quota: { rps: 'unavailable' }, expect: { decision: 'deny', code: 'quota_unavailable' } },
    ],
    ['where it fails for one that allows', { quota: { burst: 'unavailable' }, expect: { decision: 'allow' } }],
    ['where it fails for all', { quota: 'unavailable', expect: { decision: 'deny', code: 'quota_unavailable' } }],
    [
      'where its time is said',
      {
        time: '2027-03-01T00:00:00Z',
        expect: { decision: 'allow', event: { timestamp: '2027-03-01T00:00:00.000000000Z' } },
      },
    ],
  ])('%s passes', async (_title, parts) => {
    expect(await failuresOf(parts)).toEqual([]);
  });

  test.each<[string, Readonly<Record<string, unknown>>, readonly string[]]>([
    ['decision', { expect: { decision: 'deny' } }, ['`decision`: expected deny, got allow']],
    [
      'status',
      { expect: { decision: 'deny', status: 413 } },
      ['`decision`: expected deny, got allow', '`status`: expected 413, got nothing'],
    ],
    [
      'header',
      { expect: { decision: 'allow', headers: { 'x-sallyport-tenant': 'b' } } },
      ['`headers.x-sallyport-tenant`: expected "b", got "tenant-a"'],
    ],
    [
      'header that is not to be',
      { expect: { decision: 'allow', headers: { 'x-sallyport-tenant': null } } },
      ['`headers.x-sallyport-tenant`: expected nothing, got "tenant-a"'],
    ],
    [
      'removed header',
      { expect: { decision: 'allow', removed: ['x-kept'] } },
      ['`removed`: expected "x-kept", got []'],
    ],
    ['upstream', { expect: { decision: 'allow', upstream: null } }, ['`upstream`: expected nothing, got "cluster-a"']],
    [
      'reason',
      { identity: { ...alice, tenant: 'b' }, expect: { decision: 'deny', reasons: [] } },
      ['`reasons`: expected [], got ["other_tenant"]'],
    ],
    [
      'charge',
      { expect: { decision: 'allow', charges: ['rps'] } },
      ['`charges`: expected ["rps"], got ["rps","burst"]'],
    ],
    [
      'term',
      { expect: { decision: 'allow', charges: { rps: { cost: 9 }, burst: {} } } },
      ['`charges.rps.cost`: expected 9, got 1'],
    ],
    [
      'member of the event',
      { expect: { decision: 'allow', event: { input: { identity: { tenant: 'b' } } } } },
      ['`event.input.identity.tenant`: expected "b", got "tenant-a"'],
    ],
    [
      'limit that nothing charges',
      { quota: { rsp: 'exceeded' }, expect: { decision: 'allow' } },
      ['`quota.rsp`: no plan of this request charges it'],
    ],
  ])('that expects another %s says what came', async (_title, parts, failures) => {
    expect(await failuresOf(parts)).toEqual(failures);
  });

  test('takes nothing and is decided the same every time', async () => {
    const run = (): Promise<readonly string[]> =>
      failuresOf({ quota: { burst: { remaining: 2 } }, expect: { decision: 'allow' } });
    expect([await run(), await run(), await run()]).toEqual([[], [], []]);
  });

  test('is explained with its charges, what is left, and the revision', async () => {
    const [one] = parseRequestCases(
      [{ ...base, quota: { rps: { remaining: 4 } }, expect: { decision: 'allow' } }],
      'here',
    );
    if (one === undefined) throw new Error('no case was read');
    const text = linesText(explanationOf((await runRequestCase(one, decided, tryOnce)).outcome));
    for (const line of [
      'decision   allow',
      'charge     rps 1 of 10 requests per 1 s by tenant',
      'quota      rps 3 of 10 requests left',
      'bundles    authz@r1',
      'plans      2, number 0 taken',
    ]) {
      expect(text).toContain(`${line}\n`);
    }
  });
});

const GOOD = '- name: a\n  request: { path: /x }\n  expect: { decision: allow }\n';

describe('a file of cases', () => {
  test.each<[string, string, string]>([
    ['unknown key', `${GOOD}  expects: {}\n`, 'f.cases.yaml:4: `expects` of case `a` is unknown; it may be'],
    [
      'unknown key deep down',
      '- name: a\n  request:\n    path: /x\n    bdy: 1\n  expect: { decision: allow }\n',
      'f.cases.yaml:4: `request.bdy` of case `a` is unknown',
    ],
    [
      'wrong type',
      '- name: a\n  request: { path: 7 }\n  expect: { decision: allow }\n',
      'f.cases.yaml:2: `request.path` of case `a` is not a text',
    ],
    [
      'no such word',
      '- name: a\n  request: { path: /x }\n  expect:\n    decision: perhaps\n',
      'f.cases.yaml:4: `expect.decision` of case `a` is none of `allow`, `deny`',
    ],
    ['missing part', '- name: a\n  request: { path: /x }\n', 'f.cases.yaml:1: `expect` of case `a` is missing'],
    ['missing name', '- request: { path: /x }\n  expect: { decision: allow }\n', 'f.cases.yaml:1: `name` is missing'],
    ['name twice', GOOD + GOOD, 'f.cases.yaml:4: `name` of case `a` is the name of two cases'],
    ['key twice', '- name: a\n  name: b\n', 'f.cases.yaml:2: Map keys must be unique'],
    [
      'quota state that is none',
      `${GOOD}  quota: { rps: full }\n`,
      'f.cases.yaml:4: `quota.rps` of case `a` is none of `untouched`',
    ],
    ['time that is none', `${GOOD}  time: tomorrow\n`, 'f.cases.yaml:4: `time` of case `a` is no time'],
    [
      'body of two kinds',
      '- name: a\n  request: { path: /x, body: {}, body_bytes: 3 }\n  expect: { decision: allow }\n',
      '`request.body_bytes` of case `a` and `body` exclude each other',
    ],
    [
      'refusal that is none',
      `${GOOD}  identity: { refused: maybe }\n`,
      '`identity.refused` of case `a` is none of `invalid_credential`',
    ],
    ['no list', 'name: a\n', 'f.cases.yaml:1: is not a list of cases'],
    ['`__proto__`', `${GOOD}  __proto__: {}\n`, '`__proto__` of case `a` is unknown'],
  ])('with a %s is refused by file, line and key', (_title, text, message) => {
    expect(() => parseCaseFile('f.cases.yaml', text)).toThrow(CaseError);
    expect(() => parseCaseFile('f.cases.yaml', text)).toThrow(message);
  });

  test('names all of its faults at once', () => {
    const text = '- name: a\n  request: { path: 7, method: 8 }\n  expect: { decision: no, status: x }\n';
    const faults = (): readonly unknown[] => {
      try {
        return parseCaseFile('f.cases.yaml', text).cases;
      } catch (error) {
        if (error instanceof CaseError) return error.faults;
        throw error;
      }
    };
    expect(faults()).toHaveLength(4);
  });

  test('that expands without end is refused', () => {
    const bomb = [
      'a: &a0 [x, x]',
      ...Array.from({ length: 12 }, (_, at) => `b${at}: &a${at + 1} [*a${at}, *a${at}, *a${at}]`),
    ];
    expect(() => parseCaseFile('f.cases.yaml', bomb.join('\n'))).toThrow(CaseError);
  });

  test('travels in the order of the names, whatever the order of the files', () => {
    const file = (name: string, ...names: readonly string[]) =>
      parseCaseFile(name, names.map((one) => GOOD.replace('a\n', `${one}\n`)).join(''));
    const [first, second] = [file('1.cases.yaml', 'c', 'a'), file('2.cases.yaml', 'b')];
    const packed = joinCases([first, second]);
    expect(packed).toMatchObject([{ name: 'a' }, { name: 'b' }, { name: 'c' }]);
    expect(joinCases([second, first])).toEqual(packed);
    expect(parseRequestCases(JSON.parse(JSON.stringify(packed)), 'cases.json')).toHaveLength(3);
    expect(() => joinCases([first, file('3.cases.yaml', 'c')])).toThrow(
      '3.cases.yaml:1: `name` of case `c` is also in 1.cases.yaml:1',
    );
  });
});
