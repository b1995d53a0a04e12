import { describe, expect, test } from 'vitest';
import { writeAdministrative } from '../../../../src/decision-log/administrative.ts';
import { writeAggregate } from '../../../../src/decision-log/aggregates.ts';
import { writeStub } from '../../../../src/decision-log/event.ts';
import { createEncode } from '../../../../src/decision-log/sinks/format.ts';
import { lineOf } from '../../../support/events.ts';
import { allowOutcome, denyOutcome } from '../../../support/outcome.ts';

const PARTS = { sequence: 18, instanceId: 'instance-1', labels: { region: 'eu-1', 'cloud.zone': 'a' } };

const LINES = {
  allow: lineOf(allowOutcome()),
  deny: lineOf(denyOutcome('policy_denied', { reasons: ['tenant mismatch'] })),
  anonymous: lineOf(withoutPrincipal()),
  stub: writeStub(denyOutcome('policy_denied'), 19, 'instance-1'),
  administrative: writeAdministrative({ action: 'bundle_activated', details: { revision: 'r1' } }, 1_000, PARTS),
  aggregate: writeAggregate(
    {
      ...{ code: 'no_credential', route: 'infer', address: '192.0.2.0/24', door: 'ext_authz_grpc', status: 401 },
      ...{ epochMs: 1_000, generation: undefined, firstDecisionId: 'd1', lastDecisionId: 'd9', count: 9 },
    },
    PARTS,
  ),
};

type Tree = { readonly [name: string]: unknown };
type Kind = keyof typeof LINES;
const KINDS = Object.keys(LINES) as Kind[];

function withoutPrincipal(): ReturnType<typeof allowOutcome> {
  const { principal: _none, ...rest } = denyOutcome('no_credential');
  return rest;
}

function documentOf(format: 'ecs' | 'ocsf', kind: Kind): Tree {
  const text = createEncode(format)(LINES[kind]);
  if (text === undefined) throw new Error('it is no event');
  expect(text).not.toContain('\n');
  return JSON.parse(text);
}

function at(document: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((value, name) => (value as Tree | undefined)?.[name], document);
}

/** No member is empty, at any depth. */
function emptyMembers(value: unknown, path = ''): readonly string[] {
  if (value === null || value === '') return [path];
  if (typeof value !== 'object') return [];
  const members = Object.entries(value);
  return members.length === 0 ? [path] : members.flatMap(([name, member]) => emptyMembers(member, `${path}.${name}`));
}

describe('native', () => {
  test.each(KINDS)('is the line itself: %s', (kind) => {
    expect(`${createEncode('native')(LINES[kind])}\n`).toBe(LINES[kind]);
  });

  test.each(['', '{', 'null', '[]', '{"torn'])('is not %j', (line) => {
    expect(createEncode('native')(line)).toBeUndefined();
  });
});

describe.each(['ecs', 'ocsf'] as const)('%s', (format) => {
  test.each(['', '{', 'null', '[]', '{"sequence":1}', '{"sequence":1,"instance_id":"a","timestamp":"yesterday"}'])(
    'is not %j',
    (line) => {
      expect(createEncode(format)(line)).toBeUndefined();
    },
  );
});

describe('the Elastic Common Schema', () => {
  /** Of version 8.17, those that are used. */
  const VALUES: readonly (readonly [string, readonly string[]])[] = [
    ['event.kind', ['alert', 'event', 'metric', 'state']],
    ['event.category', ['api', 'configuration', 'iam', 'web']],
    ['event.type', ['access', 'allowed', 'denied', 'change']],
    ['event.outcome', ['success', 'failure', 'unknown']],
  ];

  test.each(KINDS)('has its required fields and allowed values for an event of kind %s', (kind) => {
    const document = documentOf('ecs', kind);
    for (const path of ['@timestamp', 'ecs.version', 'event.kind', 'event.category', 'event.type', 'event.id']) {
      expect(at(document, path), path).toBeDefined();
    }
    for (const [path, allowed] of VALUES) {
      const value = at(document, path);
      for (const one of value === undefined ? [] : [value].flat()) expect(allowed, path).toContain(one);
    }
    expect(emptyMembers(document)).toEqual([]);
  });

  test('tells who did what, from where, by which rule, and how it ended', () => {
    expect(documentOf('ecs', 'deny')).toMatchObject({
      message: 'deny: policy_denied, tenant mismatch',
      event: {
        ...{ id: 'instance-1:17', outcome: 'failure', type: ['access', 'denied'], action: 'access-denied' },
        ...{ code: 'policy_denied', reason: 'policy_denied, tenant mismatch', sequence: 17, duration: 100_000 },
      },
      organization: { id: 'tenant-a' },
      http: { request: { id: 'request-1' }, response: { status_code: 403 } },
      trace: { id: '4bf92f3577b34da6a3ce929d0e0e4736' },
      labels: { region: 'eu-1' },
      sallyport: { decision_id: 'decision-1', door: 'ext_authz_grpc', model: 'llama-3-8b' },
    });
    expect(documentOf('ecs', 'allow')).toMatchObject({ event: { outcome: 'success', type: ['access', 'allowed'] } });
    expect(at(documentOf('ecs', 'allow'), 'user.id')).toBe(at(JSON.parse(LINES.allow), 'input.identity.subject'));
    expect(at(documentOf('ecs', 'allow'), 'url.path')).toBe(at(JSON.parse(LINES.allow), 'input.request.path'));
    expect(at(documentOf('ecs', 'allow'), 'rule.id')).toBe(at(JSON.parse(LINES.allow), 'path'));
  });

  test('tells what is not one decision', () => {
    expect(documentOf('ecs', 'aggregate')).toMatchObject({
      source: { address: '192.0.2.0/24' },
      sallyport: { count: 9, route: 'infer' },
      labels: { cloud_zone: 'a' },
    });
    expect(at(documentOf('ecs', 'aggregate'), 'source.ip')).toBeUndefined();
    expect(documentOf('ecs', 'administrative')).toMatchObject({
      event: { category: ['configuration'], type: ['change'], action: 'bundle_activated' },
      sallyport: { details: '{"revision":"r1"}' },
    });
    expect(documentOf('ecs', 'stub')).toMatchObject({ event: { outcome: 'failure' }, sallyport: { dropped: true } });
  });

  test('carries what a policy shapes as text, so that no two documents disagree about a type', () => {
    const line = lineOf(allowOutcome({ result: { allow: true, reasons: [] } }));
    expect(typeof at(JSON.parse(createEncode('ecs')(line) ?? ''), 'sallyport.result')).toBe('string');
  });
});

describe('OCSF', () => {
  /** What version 1.3.0 demands of API Activity and of the objects in it. */
  const REQUIRED = [
    ...['activity_id', 'category_uid', 'class_uid', 'type_uid', 'severity_id', 'time'],
    ...['metadata.version', 'metadata.product.vendor_name', 'actor', 'api.operation', 'src_endpoint'],
  ];
  const AT_LEAST_ONE: readonly (readonly [string, readonly string[]])[] = [
    ['actor', ['process', 'user', 'session', 'app_name', 'app_uid']],
    ['actor.user', ['account', 'name', 'uid']],
    ['src_endpoint', ['ip', 'uid', 'name', 'hostname']],
    ['http_request.url', ['url_string', 'path', 'hostname']],
    ['resources.0', ['name', 'uid']],
  ];

  test.each(KINDS)('has its required attributes and constraints for an event of kind %s', (kind) => {
    const document = documentOf('ocsf', kind);
    for (const path of REQUIRED) expect(at(document, path), path).toBeDefined();
    for (const [path, names] of AT_LEAST_ONE) {
      const part = at(document, path);
      if (part !== undefined)
        expect(
          Object.keys(part as Tree).some((name) => names.includes(name)),
          path,
        ).toBe(true);
    }
    expect(document).toMatchObject({ class_uid: 6003, category_uid: 6, metadata: { version: '1.3.0' } });
    expect(document['type_uid']).toBe(6003 * 100 + Number(document['activity_id']));
    expect(Number.isSafeInteger(document['time'])).toBe(true);
    expect(emptyMembers(document)).toEqual([]);
  });

  test('tells who did what, from where, by which policy, and how it ended', () => {
    const event = JSON.parse(LINES.deny);
    expect(documentOf('ocsf', 'deny')).toMatchObject({
      ...{ status_id: 2, status: 'Failure', status_code: 'policy_denied', severity_id: 2 },
      metadata: { uid: 'instance-1:17', sequence: 17, tenant_uid: 'tenant-a', labels: ['region=eu-1'] },
      actor: {
        user: { uid: event.input.identity.subject, org: { uid: 'tenant-a' } },
        authorizations: [{ decision: 'denied', policy: { name: event.decision_name } }],
      },
      api: { request: { uid: 'request-1' }, response: { code: 403, error: 'policy_denied' } },
      http_request: { http_method: event.input.request.method, url: { path: event.input.request.path } },
      unmapped: { decision_id: 'decision-1', trace_id: '4bf92f3577b34da6a3ce929d0e0e4736' },
    });
    expect(documentOf('ocsf', 'allow')).toMatchObject({ status_id: 1, severity_id: 1 });
    expect(documentOf('ocsf', 'anonymous')).toMatchObject({ actor: { user: { name: 'anonymous', type_id: 0 } } });
  });

  test('tells what is not one decision', () => {
    expect(documentOf('ocsf', 'aggregate')).toMatchObject({ count: 9, src_endpoint: { name: '192.0.2.0/24' } });
    expect(documentOf('ocsf', 'administrative')).toMatchObject({
      ...{ activity_id: 3, api: { operation: 'bundle_activated' }, actor: { app_name: 'sallyport' } },
    });
  });
});
