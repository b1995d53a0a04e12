import { expect, test } from 'vitest';
import type { Inspected, MatchedRoute } from '../../../src/decision/ports.ts';
import type { Principal } from '../../../src/decision/principal.ts';
import type { DecisionLogConfig } from '../../../src/decision-log/config.ts';
import { createWriteEvent } from '../../../src/decision-log/event.ts';
import { accessRequest, inspected, tenantA } from '../../support/core.ts';
import { logConfig } from '../../support/events.ts';
import { allowOutcome } from '../../support/outcome.ts';

/** What is written of a place that was asked for before must be what would have been written of it for the first time. */
const TOKEN = 'Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.MEUCIQDc0FfeeCanary';
const CLAIMS = { sub: 'alice' };
const ROUTE: MatchedRoute = {
  name: 'infer',
  tenant: 'tenant-a',
  model: 'm',
  params: { model: 'm' },
  requiredLimits: [],
};
const SIZE = { known: true, bytes: 31 } as const;

interface Asked {
  readonly who?: Partial<Principal>;
  readonly method?: string;
  readonly scheme?: string;
  readonly found?: Partial<Inspected>;
  readonly peer?: boolean;
}

function createLines(config: Partial<DecisionLogConfig> = {}): (asked: Asked) => string {
  const write = createWriteEvent({
    config: logConfig(config),
    labels: {},
    instanceId: 'instance-1',
    nextSpanId: () => '00000000000000aa',
  });
  return ({ who = {}, method = 'POST', scheme = 'https', found = {}, peer = false }) => {
    const request = accessRequest({ method, scheme, headerList: [['authorization', TOKEN]] });
    const credentials = [{ kind: 'jwt' as const, header: 'authorization', presented: TOKEN }];
    const principal = { ...tenantA, claims: CLAIMS, credentials, ...who };
    const outcome = allowOutcome({
      request,
      principal,
      inspected: inspected({ path: '/tenant-a/m/infer', host: 'a.example', route: ROUTE, size: SIZE, ...found }),
      ...(peer ? { peer: { spiffeId: 'spiffe://example.org/a', dnsSans: [], uriSans: [] } as never } : {}),
    });
    return write(outcome, 1).line;
  };
}

const OTHERS: readonly (readonly [string, Asked])[] = [
  ['size', { found: { size: { known: true, bytes: 32 } } }],
  ['unknown size', { found: { size: { known: false, at_least: 7 } } }],
  ['method', { method: 'PUT' }],
  ['scheme', { scheme: 'http' }],
  ['path', { found: { path: '/tenant-a/m/other' } }],
  ['host', { found: { host: 'b.example' } }],
  ['content type', { found: { contentType: 'text/plain' } }],
  ['route', { found: { route: { ...ROUTE, name: 'other' } } }],
  ['no route', { found: { route: null } }],
  ['address', { found: { network: { client_ip: '192.0.2.9' } } }],
  ['country', { found: { network: { country: 'DE' } } }],
  ['inference', { found: { inference: { model: 'm', stream: true } } }],
  ['subject', { who: { subject: 'bob' } }],
  ['peer', { peer: true }],
];

const LISTS: readonly (readonly [string, Partial<DecisionLogConfig>])[] = [
  ['the default list', {}],
  ['everything', { input: ['request.*', 'route.*', 'identity.*', 'peer.*', 'network.*', 'inference.*', 'quota.*'] }],
  ['no request', { input: ['route.*', 'network.*'] }],
  ['no size', { input: ['request.method', 'request.path', 'route.*'] }],
  ['no method', { input: ['request.size', 'route.*'] }],
  ['a part of the size', { input: ['request.method', 'request.size.known'] }],
  ['the request alone', { input: ['request.method', 'request.size'] }],
  ['a mask', { masks: [{ path: '/input/request/path', op: 'erase' }] }],
];

test.each(LISTS)('a place asked again is written as if it were new, whatever else was asked: %s', (_, config) => {
  const line = createLines(config);
  const fresh = (asked: Asked): string => createLines(config)(asked);
  for (let time = 0; time < 4; time += 1) expect(line({})).toBe(fresh({}));
  for (const [what, asked] of OTHERS) {
    for (let time = 0; time < 3; time += 1) {
      expect(line(asked), what).toBe(fresh(asked));
      expect(line({}), what).toBe(fresh({}));
    }
  }
});

test('what is masked in a place is masked, and noted, each time', () => {
  const line = createLines();
  const asked = { found: { path: `/${TOKEN.slice(7)}` } };
  for (let time = 0; time < 4; time += 1) {
    expect(JSON.parse(line(asked))).toMatchObject({ masked: ['/input/request/path'] });
    expect(line(asked)).not.toContain('Canary');
  }
});
