import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TakeResult } from '../../../src/decision/charges.ts';
import { startEnvoy } from '../../support/envoy.ts';
import type { ListenerOptions } from '../../support/envoy-config.ts';
import { ask } from '../../support/http-client.ts';
import { bearer, INFER_PATH } from '../../support/infer-request.ts';
import { eventually, type Program } from '../../support/programs.ts';
import { startService, toServiceConfig } from '../../support/service.ts';
import { createTestIssuer } from '../../support/tokens.ts';
import { startUpstream } from '../../support/upstream.ts';
import type { Trials } from './matrix.ts';
import { openWorld, realTimeCore } from './world.ts';

/** A service process behind a real Envoy, asked through both doors. */
interface Scene {
  readonly program: Program;
  /** Statuses of granted calls, and of calls that no policy allows, two of each kind at each door. */
  askAll(): Promise<{ readonly granted: readonly number[]; readonly forbidden: readonly number[] }>;
  /** Requests that arrived at the upstream, and how many of them were forbidden. */
  arrived(): { readonly all: number; readonly forbidden: number };
}

const ENVOY_TIMEOUT_MS = 800;
const OTHER_TENANT = '/tenant-b/llama-3-8b/infer';
const DOORS = ['grpc', 'http'] as const;

async function withScene(judge: (scene: Scene) => Promise<string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-event-loop-'));
  const jwksFile = join(folder, 'jwks.json');
  const issuer = await createTestIssuer();
  await issuer.writeJwks(jwksFile);
  const upstream = await startUpstream();
  const service = await startService({
    config: await toServiceConfig({ issuer, jwksFile, deadlineMs: ENVOY_TIMEOUT_MS }),
  });
  const listener = (door: (typeof DOORS)[number]): ListenerOptions => ({
    authz: {
      door,
      at: { ports: [service.port(`ext_authz_${door}`)] },
      statusOnError: 403,
      timeoutMs: ENVOY_TIMEOUT_MS,
      body: { maxBytes: 65_536 },
    },
  });
  const envoy = await startEnvoy({
    upstreams: { upstream: { ports: [upstream.port] } },
    listeners: { grpc: listener('grpc'), http: listener('http') },
  });
  const token = await issuer.mint({ tenant: 'tenant-a', tier: 'premium', roles: ['analyst'] });
  const askBoth = (path: string): Promise<readonly number[]> =>
    Promise.all(
      DOORS.flatMap((door) => [door, door]).map(async (door) => {
        const headers = { 'content-type': 'application/json', ...bearer(token) };
        return (await ask(envoy.port(door), { method: 'POST', path, headers, body: '{"prompt":"hi"}' })).status;
      }),
    );
  try {
    return await judge({
      program: service.program,
      askAll: async () => {
        const [granted, forbidden] = await Promise.all([askBoth(INFER_PATH), askBoth(OTHER_TENANT)]);
        return { granted, forbidden };
      },
      arrived: () => ({
        all: upstream.count(),
        forbidden: upstream.seen.filter(({ path }) => path === OTHER_TENANT).length,
      }),
    });
  } finally {
    await envoy.stop();
    await service.stop();
    await upstream.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** All calls while the service is as `stop` leaves it. */
const whileDown = (stop: (scene: Scene) => unknown, during?: (scene: Scene) => Promise<unknown>) => () =>
  withScene(async (scene) => {
    await stop(scene);
    const [{ granted, forbidden }] = await Promise.all([scene.askAll(), during?.(scene)]);
    const { all } = scene.arrived();
    const denied = [...granted, ...forbidden].every((status) => status === 403);
    return denied && all === 0
      ? 'denied by Envoy, nothing upstream'
      : `${[...granted, ...forbidden].join(' ')}; ${all} upstream`;
  });

/** Calls while the service is held up, and once it no longer is. */
const heldUp = (holdUp: (program: Program) => Promise<unknown>) => () =>
  withScene(async (scene) => {
    const seen: number[] = [];
    const held = holdUp(scene.program);
    for (let round = 0; round < 4; round += 1) seen.push(...(await scene.askAll()).forbidden);
    await held;
    await eventually(async () => {
      const { granted, forbidden } = await scene.askAll();
      seen.push(...forbidden);
      return granted.every((status) => status === 200) ? true : undefined;
    });
    const { forbidden } = scene.arrived();
    return forbidden === 0 && seen.every((status) => status === 403)
      ? 'nothing forbidden upstream, and well again after'
      : `${forbidden} forbidden upstream; ${seen.join(' ')}`;
  });

/** More in flight than a door takes: one waits for a store, the next comes. */
async function overloaded(): Promise<string> {
  let waiting = 0;
  let letGo: (taken: TakeResult) => void = () => undefined;
  const held = new Promise<TakeResult>((resolve) => {
    letGo = resolve;
  });
  const take = (): Promise<TakeResult> => {
    waiting += 1;
    return held;
  };
  const world = await openWorld(realTimeCore({ quota: { take } }), {
    maxInFlight: 1,
  });
  try {
    const first = world.ask();
    await eventually(() => (waiting === DOORS.length ? true : undefined));
    const answer = await world.ask();
    letGo({ kind: 'taken', take: undefined, state: { plan: 0, taken: true, limits: {} } });
    return (await first) === 'allow' ? answer : `${answer}, and ${await first} for what was there before`;
  } finally {
    await world.stop();
  }
}

export const loopTrials: Trials = {
  healthy: () =>
    withScene(async (scene) => {
      const { granted, forbidden } = await scene.askAll();
      const well = granted.every((status) => status === 200) && forbidden.every((status) => status === 403);
      return well && scene.arrived().all === granted.length ? 'allow' : [...granted, ...forbidden].join(' ');
    }),
  faults: {
    down: whileDown(async ({ program }) => {
      program.signal('SIGKILL');
      await program.ended;
    }),
    // It turns a fifth of the time.
    slow: heldUp(async (program) => {
      for (let pulse = 0; pulse < 15; pulse += 1) {
        program.signal('SIGSTOP');
        await sleep(80);
        program.signal('SIGCONT');
        await sleep(20);
      }
    }),
    hang: whileDown(({ program }) => program.signal('SIGSTOP')),
    reset: whileDown(
      ({ program }) => program.signal('SIGSTOP'),
      async ({ program }) => {
        await sleep(ENVOY_TIMEOUT_MS / 4);
        program.signal('SIGKILL');
      },
    ),
    full: overloaded,
    // Longer than Envoy waits: what is answered afterwards is too late for those calls.
    stalled: heldUp(async (program) => {
      program.signal('SIGSTOP');
      await sleep(ENVOY_TIMEOUT_MS * 1.5);
      program.signal('SIGCONT');
    }),
  },
};
