import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAuthorize } from '../../src/decision/authorize.ts';
import type { Authorize, Inspected } from '../../src/decision/ports.ts';
import { core, generation, inferRoute, inspected, NAMED } from '../support/core.ts';
import { describeWith } from '../support/describe-with.ts';
import { type Envoy, startEnvoy } from '../support/envoy.ts';
import type { ExtAuthz } from '../support/envoy-config.ts';
import { type Answer, ask } from '../support/http-client.ts';
import { startTestDoors, type TestDoors } from '../support/test-doors.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

/** SECURITY row 2: whatever status a denying verdict names, no request of it reaches the upstream. */
const STATUSES = Array.from({ length: 1_002 }, (_, index) => index - 1);
const SHAPES = ['sallyport', 'opa-envoy'] as const;
const LISTENERS = ['grpc', 'grpc-open', 'http', 'http-open'] as const;

describeWith(['envoy'], 'a verdict that denies with any status stops the request at a real Envoy', () => {
  let upstream: Upstream;
  let doors: TestDoors;
  let envoy: Envoy;

  beforeAll(async () => {
    upstream = await startUpstream();
    doors = await startTestDoors(byHeader());
    const authz = (door: 'grpc' | 'http', failureModeAllow: boolean): { authz: ExtAuthz } => ({
      authz: {
        door,
        at: { ports: [door === 'grpc' ? doors.grpcPort : doors.httpPort] },
        failureModeAllow,
        requestHeaders: ['x-verdict-status', 'x-verdict-shape', 'x-redirects'],
      },
    });
    envoy = await startEnvoy({
      upstreams: { upstream: { ports: [upstream.port] } },
      listeners: {
        grpc: authz('grpc', false),
        'grpc-open': authz('grpc', true),
        http: authz('http', false),
        'http-open': authz('http', true),
      },
    });
  });

  afterAll(async () => {
    await envoy?.stop();
    await Promise.all([doors?.stop(), upstream?.stop()]);
  });

  const asked = (listener: string, shape: string, status: string, redirects: boolean): Promise<Answer> =>
    ask(envoy.port(listener), {
      headers: { 'x-verdict-status': status, 'x-verdict-shape': shape, ...(redirects ? { 'x-redirects': '1' } : {}) },
    });

  for (const listener of LISTENERS) {
    for (const shape of SHAPES) {
      for (const redirects of [false, true]) {
        const title = `${listener}, ${shape}, redirects ${redirects ? 'enabled' : 'not enabled'}: −1 to 1000`;
        test(title, async () => {
          upstream.reset();
          const answers = await inTurns(STATUSES, (status) => asked(listener, shape, String(status), redirects));
          expect(upstream.count()).toBe(0);
          const lowest = redirects && listener.startsWith('grpc') ? 300 : 400;
          const highest = listener.startsWith('grpc') ? 599 : 499;
          expect(answers.filter(({ status }) => status < lowest || status > highest)).toEqual([]);
          // What the verdict named is what the client got, where Envoy and the door can say it.
          for (const status of [400, 401, 403, 404, 409, 413, 429]) expect(answers[status + 1]?.status).toBe(status);
          console.info(`${title}: ${answers.length} denials asked, ${upstream.count()} at the upstream`);
        });
      }
    }
  }

  test.each(LISTENERS)(
    '%s lets a verdict that allows through, so that the count above means something',
    async (listener) => {
      upstream.reset();
      expect((await asked(listener, 'sallyport', 'allow', false)).status).toBe(200);
      expect((await asked(listener, 'opa-envoy', 'allow', false)).status).toBe(200);
      expect(upstream.count()).toBe(2);
    },
  );

  test('no door met a bug', () => expect(doors.faults).toEqual([]));
});

/** The real core, with a policy that does what the request's own headers say. */
function byHeader(): Authorize {
  const inspect = (request: Parameters<Authorize>[0]): Inspected => {
    const header = (name: string): string => ('headers' in request ? (request.headers.all(name)[0] ?? '') : '');
    return inspected({ route: { ...inferRoute, params: { status: header('x-verdict-status') } } });
  };
  const evaluated = (shape: (typeof SHAPES)[number]) =>
    generation(
      {
        'authz/limits': [],
        'authz/decision': (input: { route: () => { params: { status: string } } }) => {
          const { status } = input.route().params;
          const allow = status === 'allow';
          const named = allow ? {} : { [shape === 'sallyport' ? 'status' : 'http_status']: Number(status) };
          return { [shape === 'sallyport' ? 'allow' : 'allowed']: allow, ...named };
        },
      },
      { inspect },
    );
  const authorizers = new Map<string, Authorize>(
    SHAPES.flatMap((shape) =>
      [false, true].map((redirects) => {
        const { ports } = core({
          currentGeneration: () => evaluated(shape),
          decisions: new Map([['default', { ...NAMED, result: shape }]]),
          allowRedirects: redirects,
        });
        return [`${shape} ${redirects}`, createAuthorize(ports)] as const;
      }),
    ),
  );
  return (request) => {
    if (!('headers' in request)) throw new Error('a door could not read what Envoy sent');
    const [shape] = request.headers.all('x-verdict-shape');
    const authorize = authorizers.get(`${shape} ${request.headers.all('x-redirects').length > 0}`);
    if (authorize === undefined) throw new Error(`no verdict shape \`${shape}\``);
    return authorize(request);
  };
}

/** Sixteen at a time, answers in order. */
async function inTurns<T, R>(items: readonly T[], call: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += 16)
    results.push(...(await Promise.all(items.slice(at, at + 16).map(call))));
  return results;
}
