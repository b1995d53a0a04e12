import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { Allow } from '../../src/decision/decision.ts';
import { toAccessRequest } from '../../src/protocols/ext-authz-grpc/to-access-request.ts';
import { openTestDecider, type TestDecider } from '../support/decider.ts';
import { eventOf } from '../support/events.ts';
import { encodeCheckRequest } from '../support/ext-authz-proto.ts';

/** One request through the shipped bundle: what was decided, and what the decision log says of it. */
interface Case {
  readonly title: string;
  /** Claims of a bearer token; absent: no credential. */
  readonly token?: Readonly<Record<string, unknown>>;
  readonly request: {
    readonly method?: string;
    readonly path: string;
    readonly headers?: Readonly<Record<string, string>>;
    /** Sent as JSON; a text is sent as it is. */
    readonly body?: unknown;
    /** Bytes of a body that is only as long as this; its content is a JSON text. */
    readonly body_bytes?: number;
    /** What the gateway says of the body; default: that it is whole. */
    readonly partial?: boolean | 'not_said';
    readonly extensions?: Readonly<Record<string, string>>;
  };
  readonly decision: {
    readonly allow: boolean;
    readonly status?: number;
    readonly reason?: string;
    readonly code?: string;
    readonly reasons?: readonly string[];
    readonly headers?: Readonly<Record<string, string>>;
    readonly removed?: readonly string[];
  };
  /** What the event must hold, member by member. */
  readonly event: Readonly<Record<string, unknown>>;
}

const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.yaml'));

describe.each(files)('%s', (file) => {
  const cases = parse(readFileSync(join(import.meta.dirname, file), 'utf8')) as readonly Case[];
  let decider: TestDecider;

  beforeAll(async () => {
    decider = await openTestDecider({
      decisions: {
        default: { decision: 'authz/decision', limits: 'authz/limits', result: 'sallyport' },
        unmetered: { decision: 'authz/decision', result: 'sallyport' },
      },
    });
  });
  afterAll(() => decider.close());

  test.each(cases)('$title', async (one) => {
    const outcome = await decider.authorize(toAccessRequest(await checkRequestOf(one, decider), { believed: true }));
    const { decision } = outcome;
    const { allow, headers, removed, ...denial } = one.decision;
    expect(Allow.is(decision)).toBe(allow);
    if (decision.kind === 'allow') {
      const set = Object.fromEntries([...decision.ownedHeaders, ...decision.setHeaders]);
      if (headers !== undefined) expect(set).toMatchObject(headers);
      for (const name of removed ?? []) expect(decision.removeHeaders).toContain(name);
    } else expect(decision).toMatchObject(denial);
    expect(eventOf(outcome)).toMatchObject({
      decision_id: outcome.decisionId,
      decision: allow ? 'allow' : 'deny',
      ...one.event,
    });
  });
});

async function checkRequestOf({ token, request }: Case, { issuer }: TestDecider): Promise<Buffer> {
  const body = request.body_bytes === undefined ? request.body : `"${'x'.repeat(request.body_bytes - 2)}"`;
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
  const partial = request.partial ?? false;
  const headers = {
    ...(text === '' ? {} : { 'content-type': 'application/json', 'content-length': String(text.length) }),
    ...(partial === 'not_said' ? {} : { 'x-envoy-auth-partial-body': String(partial) }),
    ...(token === undefined ? {} : { authorization: `Bearer ${await issuer.mint(token)}` }),
    ...request.headers,
  };
  return encodeCheckRequest({
    attributes: {
      source: { address: { socketAddress: { address: '192.0.2.1', portValue: 40_000 } } },
      contextExtensions: request.extensions ?? {},
      request: {
        http: {
          id: 'request-1',
          method: request.method ?? 'POST',
          path: request.path,
          host: 'gateway.test',
          scheme: 'https',
          protocol: 'HTTP/2',
          headers: Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== '')),
          body: text,
        },
      },
    },
  });
}
