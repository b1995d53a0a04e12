import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Principal } from '../../src/decision/principal.ts';
import { createShare } from '../../src/rollout/arms.ts';
import { describeWith } from '../support/describe-with.ts';
import { type AgentStatus, type FleetAgent, planAgent, startAgents, statusOf } from '../support/fleet-agents.ts';
import { startEvilServer } from '../support/fleet-evil-server.ts';
import { createFleetClient, type FleetLoad, type LoadAnswer, startFleetLoad } from '../support/fleet-load.ts';
import { FLEET_TENANTS, FLEET_TIER, type Release } from '../support/fleet-releases.ts';
import {
  createFleetServer,
  FLEET_KEY,
  FLEET_SCOPE,
  FLEET_TOKENS,
  type FleetServer,
  readAuditLog,
} from '../support/fleet-server.ts';
import { ask } from '../support/http-client.ts';
import { freePort } from '../support/ports.ts';
import { eventually, type Program, startProgram } from '../support/programs.ts';
import { caseCount } from '../support/seed.ts';
import { createTestIssuer, type TestIssuer } from '../support/tokens.ts';
import { requireTool } from '../support/tools.ts';

/**
 * A fleet on one machine: 20 services in four processes, one bundle server, a real OPA that pulls the same bundle, and a
 * steady load of callers of 24 tenants, none of whose requests may fail whatever is rolled out. Everything that changes
 * the fleet is a command of ours.
 */
const SLOW_MACHINE_MS = 60_000;
/** Between two requests to one service. */
const GAP_MS = 250;
const PERCENT = 10;

describeWith(['opa'], 'a fleet of 20 agents, a bundle server and an OPA', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-fleet-'));
  const programs: Program[] = [];
  const client = createFleetClient();
  let server: FleetServer;
  let issuer: TestIssuer;
  let agents: readonly FleetAgent[] = [];
  let opaPort: number;
  let salt: string;
  let load: FleetLoad;
  let v1: Release;
  let v2: Release;
  let denies: Release;
  let fails: Release;
  let v5: Release;
  let lastAgent: FleetAgent;
  let lastProgram: Program;
  let tokens: ReadonlyMap<string, string>;
  const beganMs = performance.now();

  const say = (text: string): void =>
    console.info(`fleet: ${((performance.now() - beganMs) / 1_000).toFixed(1).padStart(5)} s  ${text}`);
  const first = (): FleetAgent => {
    const [agent] = agents;
    if (agent === undefined) throw new Error('there is no agent');
    return agent;
  };
  const statuses = (): Promise<readonly AgentStatus[]> => Promise.all(agents.map(statusOf));

  /** Waits until the status of every agent is so; answers the statuses and how long it took. */
  async function allAgree(
    what: string,
    holds: (status: AgentStatus) => boolean,
  ): Promise<{ readonly seen: readonly AgentStatus[]; readonly tookMs: number }> {
    const startMs = performance.now();
    let seen: readonly AgentStatus[] = [];
    try {
      await eventually(async () => {
        seen = await statuses();
        return seen.every(holds) ? true : undefined;
      }, SLOW_MACHINE_MS);
    } catch {
      const others = seen.flatMap((status, at) => (holds(status) ? [] : [`${agents[at]?.name}: ${shown(status)}`]));
      throw new Error(`not every agent ${what}:\n${others.join('\n')}`);
    }
    return { seen, tookMs: performance.now() - startMs };
  }

  /** Waits until so many instances report that they run it, as `sallyport fleet` tells. */
  async function fleetRuns({ sha256 }: Release, count: number): Promise<number> {
    const startMs = performance.now();
    await eventually(async () => {
      const { instances } = await server.fleet();
      const running = new Set(
        instances.flatMap(({ labels, bundles }) =>
          bundles.some((bundle) => bundle.sha256 === sha256) ? [labels['agent'] ?? labels['id'] ?? ''] : [],
        ),
      );
      return running.size >= count ? true : undefined;
    }, SLOW_MACHINE_MS);
    return performance.now() - startMs;
  }

  /** The load so far: nothing failed; answers how many answers each revision made. */
  function checkLoad(what: string): Readonly<Record<string, number>> {
    expect(load.failures().slice(0, 5), what).toEqual([]);
    const counts = Object.fromEntries(load.take());
    say(`load: ${load.sent()} requests, 0 failed; since the last stage ${JSON.stringify(counts)}`);
    return counts;
  }

  const inCanary = (release: Release): ReadonlySet<string> => armOf(salt, release);

  beforeAll(async () => {
    server = await createFleetServer(folder);
    v1 = await server.build({ name: 'v1' });
    v2 = await server.build({ name: 'v2', maxBytes: 200 });
    denies = await server.build({ name: 'v3', maxBytes: 200, fault: 'denies' });
    fails = await server.build({ name: 'v4', maxBytes: 200, fault: 'fails' }, '--security');
    v5 = await server.build({ name: 'v5', maxBytes: 200 });
    // Of 24 tenants a tenth may be none: a salt is drawn by which there are some in each canary.
    for (;;) {
      salt = randomBytes(16).toString('hex');
      const sizes = [v2, v5].map((release) => armOf(salt, release).size);
      if (sizes.every((size) => size >= 2 && size <= 4)) break;
    }
    say(`built and signed 5 revisions`);
    await server.start();
    issuer = await createTestIssuer();
    const jwksFile = join(folder, 'jwks.json');
    await issuer.writeJwks(jwksFile);
    tokens = new Map(
      await Promise.all(
        FLEET_TENANTS.map(
          async (tenant) =>
            [tenant, await issuer.mint({ sub: `user-of-${tenant}`, tenant, tier: FLEET_TIER })] as const,
        ),
      ),
    );
    agents = Array.from({ length: 20 }, (_, at) =>
      planAgent({
        name: `agent-${String(at).padStart(2, '0')}`,
        door: at % 2 === 0 ? 'ext_authz_grpc' : 'ext_authz_http',
        server,
        issuer,
        jwksFile,
        salt,
      }),
    );
    const groups = [agents.slice(0, 7), agents.slice(7, 13), agents.slice(13, 19), agents.slice(19)];
    const started = await Promise.all(groups.map(startAgents));
    programs.push(...started);
    [lastAgent, lastProgram] = [agents[19], started[3]] as [FleetAgent, Program];
    opaPort = await freePort();
    writeFileSync(join(folder, 'opa.yaml'), opaConfig(server));
    programs.push(
      startProgram(requireTool('opa'), [
        ...['run', '--server', '--addr', `127.0.0.1:${opaPort}`, '--config-file', join(folder, 'opa.yaml')],
        '--disable-telemetry',
      ]),
    );
    load = startFleetLoad({ client, agents, tokens, gapMs: GAP_MS });
    for (const agent of agents) await load.pause(agent);
    say('started 20 agents in 4 processes, a bundle server and an OPA; nothing is promoted yet');
  });
  afterAll(async () => {
    await load?.stop();
    client.close();
    await Promise.all(programs.map((program) => program.stop()));
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('publish and promote: every agent and the OPA run it, and say so', async () => {
    await server.publish(v1);
    expect((await statuses()).every(({ bundles }) => bundles.authz?.revision === undefined)).toBe(true);
    await server.promote(v1);
    const { tookMs } = await allAgree('runs v1', ({ bundles }) => bundles.authz?.sha256 === v1.sha256);
    await eventually(
      async () => ((await ask(first().operationsPort, { path: '/health/ready' })).status === 200 ? true : undefined),
      SLOW_MACHINE_MS,
    );
    await fleetRuns(v1, 21);
    say(`v1 promoted: in force on 20 agents after ${Math.round(tookMs)} ms, and told by all 21`);
    for (const agent of agents) load.resume(agent);
    await sleep(1_500);
    expect(Object.keys(checkLoad('v1'))).toEqual(['v1']);
  });

  test('publish, canary 10 %: the same tenants are in it on every agent', async () => {
    await server.publish(v2);
    const startMs = performance.now();
    await server.order(v2, '--percent', String(PERCENT), '--abort-on-trips', '1');
    await allAgree('is in the canary', ({ rollout }) => rollout.state === 'canary' && rollout.percent === PERCENT);
    say(`v2 ordered: compared and in canary on 20 agents after ${Math.round(performance.now() - startMs)} ms`);
    const arm = inCanary(v2);
    const wrong: string[] = [];
    const seen = new Map<string, Set<string>>();
    const sinceMs = performance.now();
    load.onAnswer = ({ agent, tenant, sentMs, answered }: LoadAnswer) => {
      if (sentMs < sinceMs || answered.kind !== 'allow') return;
      if (answered.policy !== (arm.has(tenant) ? 'v2' : 'v1'))
        wrong.push(`${agent.name} ${tenant}: ${answered.policy}`);
      seen.set(agent.name, (seen.get(agent.name) ?? new Set()).add(tenant));
    };
    await eventually(
      () => (agents.every(({ name }) => seen.get(name)?.size === FLEET_TENANTS.length) ? true : undefined),
      SLOW_MACHINE_MS,
    );
    expect(wrong).toEqual([]);
    say(`arms: ${[...arm].join(', ')} of ${FLEET_TENANTS.length} tenants are in, on each of 20 agents alike`);
    const { flags } = await server.fleet();
    expect(flags).toEqual([]);
  });

  test('a flood of junk and a flood of one exploiter trip nothing', async () => {
    const flooded = agents.slice(0, 2);
    const [exploiter = ''] = FLEET_TENANTS.filter((tenant) => !inCanary(v2).has(tenant));
    const subjects = await Promise.all(
      Array.from({ length: 40 }, (_, at) => issuer.mint({ sub: `subject-${at}`, tenant: exploiter, tier: FLEET_TIER })),
    );
    const junk = caseCount(1_000);
    const large = JSON.stringify({ prompt: 'x'.repeat(300) });
    const unwanted: string[] = [];
    const startMs = performance.now();
    for (const agent of flooded) await load.pause(agent);
    await Promise.all(
      flooded.map((agent) =>
        inParallel(junk, 8, async (at) => {
          const tenant = FLEET_TENANTS[at % FLEET_TENANTS.length] ?? '';
          // Every hundredth is a caller's, and of the others each tenth shows something that is no token at all.
          const caller = at % 101 === 0;
          const token = caller ? tokens.get(tenant) : at % 10 === 0 ? 'not.a.token' : undefined;
          const answered = await client.ask(agent, { tenant, ...(token === undefined ? {} : { token }) });
          const wanted = caller ? answered.kind === 'allow' : answered.kind === 'deny' && answered.status === 401;
          if (!wanted) unwanted.push(`${agent.name} ${tenant}: ${JSON.stringify(answered)}`);
        }),
      ),
    );
    for (const agent of flooded) load.resume(agent);
    const junkMs = performance.now() - startMs;
    expect(unwanted.slice(0, 5)).toEqual([]);

    const exploits = caseCount(300);
    let allowed = 0;
    await Promise.all(
      flooded.map((agent) =>
        inParallel(exploits, 4, async (at) => {
          const token = subjects[at % subjects.length] ?? '';
          const answered = await client.ask(agent, { tenant: exploiter, token, body: large });
          if (answered.kind === 'allow') allowed += 1;
        }),
      ),
    );
    // Stable allows what the candidate would not: each of these is a difference.
    expect(allowed).toBe(exploits * flooded.length);
    await sleep(1_500);
    const seen = await Promise.all(flooded.map(statusOf));
    for (const { rollout } of seen) {
      expect(rollout).toMatchObject({ state: 'canary', percent: PERCENT, trips: 0 });
      expect(rollout.findings?.results['allow_to_deny']).toBeGreaterThan(0);
    }
    await allAgree('has no trip', ({ rollout }) => rollout.trips === 0 && rollout.state === 'canary');
    const found = seen.map(({ rollout }) => JSON.stringify(rollout.findings?.results));
    say(
      `floods on 2 agents: ${junk * flooded.length} of junk in ${Math.round(junkMs)} ms (100:1), ${exploits * flooded.length} of one tenant with ${subjects.length} subjects; no trip; found ${found.join(' ')}`,
    );
    checkLoad('the floods');
  });

  test('promote: all are on the new revision', async () => {
    load.onAnswer = () => {};
    const startMs = performance.now();
    await server.promote(v2);
    await allAgree('runs v2', ({ bundles }) => bundles.authz?.sha256 === v2.sha256);
    const inForceMs = performance.now() - startMs;
    await fleetRuns(v2, 21);
    await eventually(async () => ((await opaRevision(opaPort)) === v2.revision ? true : undefined), SLOW_MACHINE_MS);
    say(
      `v2 promoted: in force on 20 agents after ${Math.round(inForceMs)} ms, told by all 21 after ${Math.round(performance.now() - startMs)} ms`,
    );
    expect(
      await server.run('fleet', '--from', fleetUrl(server), '--token-env', 'OPS', '--expect-revision', v2.revision),
    ).toContain('agents/');
    checkLoad('the promotion');
    await sleep(1_500);
    expect(Object.keys(checkLoad('v2'))).toEqual(['v2']);
  });

  test('a bad revision: one agent’s guard rail trips, all go back, nobody was decided for by it', async () => {
    await server.publish(denies);
    // The first alone has callers of enough tenants to judge by; the others have to be told.
    for (const agent of agents.slice(1)) load.shape(agent, FLEET_TENANTS.slice(0, 6));
    load.take();
    const startMs = performance.now();
    const order = await server.order(denies, '--percent', String(PERCENT), '--abort-on-trips', '1');
    const { seen } = await allAgree(
      'has taken v3 back',
      ({ rollout }) => rollout.last?.sha256 === denies.sha256 && rollout.last.state === 'rolled_back',
    );
    const times = seen.map(({ rollout }) => Date.parse(rollout.last?.at ?? ''));
    const [trippedAt = 0] = times;
    const rolledBackMs = Math.max(...times) - trippedAt;
    say(
      `v3 (denies everybody) ordered: trips after ${Math.round(performance.now() - startMs)} ms in all; from the trip to the last agent ${rolledBackMs} ms`,
    );
    expect(seen[0]?.rollout.last?.reason).toMatch(
      /^guard rail `deny_changed`: the candidate denies what was allowed for \d+ of \d+ voters/,
    );
    for (const { rollout } of seen.slice(1)) {
      expect(rollout.last?.reason).toBe(`guard rails tripped on 1 instances, order ${order}`);
      expect(rollout).toMatchObject({ state: 'idle', percent: 0, trips: 0 });
    }
    for (const { rollout, bundles } of seen) {
      expect(rollout.refused.map(({ sha256 }) => sha256)).toEqual([denies.sha256]);
      expect(bundles.authz?.sha256).toBe(v2.sha256);
    }
    await sleep(1_000);
    const counts = checkLoad('the bad revision');
    expect(Object.keys(counts)).toEqual(['v2']);
    say('requests that the bad revision decided: 0');
  });

  test('status tells the story: who, what and why', async () => {
    const { instances, flags } = await eventually(async () => {
      const answer = await server.fleet();
      const told = answer.instances.filter(({ bundles }) => bundles[0]?.candidate?.state === 'rolled_back');
      return told.length === 20 ? answer : undefined;
    }, SLOW_MACHINE_MS);
    expect(flags).toEqual([]);
    const tripped = instances.filter(({ bundles }) => bundles[0]?.candidate?.tripped === true);
    expect(tripped.map(({ labels }) => labels['agent'])).toEqual([first().name]);
    expect(tripped[0]?.bundles[0]?.candidate).toMatchObject({ sha256: denies.sha256, revision: denies.revision });
    const table = await server.run('fleet', '--from', fleetUrl(server), '--token-env', 'OPS');
    const lines = table.split('\n').filter((line) => line.includes('rolled_back'));
    expect(lines).toHaveLength(20);
    expect(lines.filter((line) => line.includes('tripped: guard rail `deny_changed`'))).toHaveLength(1);
    say(`sallyport fleet: ${lines.find((line) => line.includes('tripped'))?.replaceAll(/ +/g, ' ')}`);
    expect(readAuditLog(folder).map(({ what, who }) => `${what} by ${who}`)).toEqual([
      ...['publish by ci', 'promote by ops', 'publish by ci', 'order by ops', 'promote by ops'],
      ...['publish by ci', 'order by ops'],
    ]);
  });

  test('what was taken back is not tried again after a restart', async () => {
    await restartLast();
    const status = await eventually(async () => {
      const now = await statusOf(lastAgent);
      return now.bundles.authz?.candidate?.orderVersion === undefined ? undefined : now;
    }, SLOW_MACHINE_MS);
    await sleep(500);
    expect(status.rollout).toMatchObject({ state: 'idle', percent: 0 });
    expect(status.rollout.refused.map(({ sha256 }) => sha256)).toEqual([denies.sha256]);
    expect((await statusOf(lastAgent)).bundles.authz).toMatchObject({
      sha256: v2.sha256,
      candidate: { staged: false },
    });
    load.resume(lastAgent);
  });

  test('a revision that mends a hole pauses where another would be taken back', async () => {
    await server.publish(fails);
    const startMs = performance.now();
    await server.order(fails, '--percent', String(PERCENT), '--abort-on-trips', '1');
    const { seen } = await allAgree(
      'stands still',
      ({ rollout }) => rollout.candidate?.sha256 === fails.sha256 && rollout.state === 'paused',
    );
    say(
      `v4 (its verdicts cannot be read; \`--security\`) ordered: paused everywhere after ${Math.round(performance.now() - startMs)} ms`,
    );
    expect(seen[0]?.rollout.reason).toMatch(/^guard rail `error`: .*; it is not taken back: it mends a hole$/);
    for (const { rollout } of seen) {
      expect(rollout.percent).toBe(0);
      expect(rollout.reason).toContain('it mends a hole');
    }
    await server.order(fails, '--percent', '0', '--abort');
    await allAgree(
      'goes back at the author’s word',
      ({ rollout }) => rollout.state === 'aborted' && rollout.percent === 0,
    );
    expect(Object.keys(checkLoad('the security revision'))).toEqual(['v2']);
  });

  test('a server that is gone, and one that lies, change nothing', async () => {
    await server.publish(v5);
    const otherKeys = join(folder, 'other-keys');
    await server.run('keys', 'bundle', 'create', '--out', otherKeys, '--kid', FLEET_KEY);
    const forgedOrder = await server.signedOrder(v5, otherKeys, 1_000, '--percent', '100', '--mode', 'promote');
    const oldOrder = await server.signedOrder(v5, 'signing', 1, '--percent', '100');
    await server.kill();
    const killedMs = performance.now();
    await sleep(1_000);

    await load.pause(lastAgent);
    lastProgram.signal('SIGKILL');
    await lastProgram.ended;
    const spawnedMs = performance.now();
    const readyMs = await restartLast();
    say(`killed and started again with the server down: ready after ${Math.round(readyMs)} ms (target 2000)`);
    expect(readyMs).toBeLessThan(20_000);
    load.resume(lastAgent);
    expect(performance.now() - spawnedMs).toBeLessThan(60_000);

    const evil = await startEvilServer(server.port, [
      { name: 'an older bundle, an older order', archive: readFileSync(v1.file), jws: v1.jws, order: oldOrder },
      { name: 'other bytes, a forged order', archive: readFileSync(denies.file), jws: v5.jws, order: forgedOrder },
    ]);
    try {
      const refused = await eventually(async () => {
        const seen = await statuses();
        const told = seen.filter(
          ({ bundles }) =>
            bundles.authz?.lastError?.code === 'bundle_untrusted' &&
            bundles.authz.candidate?.lastError?.code === 'bundle_untrusted',
        );
        return told.length === agents.length && evil.offered().every((count) => count > 2 * agents.length)
          ? seen
          : undefined;
      }, SLOW_MACHINE_MS);
      for (const { bundles, rollout } of refused) {
        expect(bundles.authz?.sha256).toBe(v2.sha256);
        expect(rollout).toMatchObject({ percent: 0 });
      }
      say(
        `a server that lies: ${evil.offered().join(' and ')} times offered, refused by all 20: ${refused[0]?.bundles.authz?.lastError?.message}; ${refused[0]?.bundles.authz?.candidate?.lastError?.message}`,
      );
    } finally {
      await evil.stop();
    }
    await server.start();
    await allAgree('has heard of the server again', ({ bundles }) => bundles.authz?.lastError === undefined);
    say(
      `the server is back, and every agent has heard of it, ${Math.round(performance.now() - killedMs)} ms after it was killed`,
    );
    expect(Object.keys(checkLoad('the server’s absence'))).toEqual(['v2']);
  });

  test('promoted by order: all on the new revision, none before it was compared', async () => {
    for (const agent of agents) load.shape(agent, FLEET_TENANTS);
    const startMs = performance.now();
    await server.order(v5, '--mode', 'promote');
    const { seen } = await allAgree('runs v5', ({ bundles }) => bundles.authz?.sha256 === v5.sha256);
    const tookMs = performance.now() - startMs;
    await server.promote(v5);
    await fleetRuns(v5, 21);
    say(
      `v5 promoted by order: in force on 20 agents after ${Math.round(tookMs)} ms, on the OPA too once the channel was moved`,
    );
    for (const { rollout } of seen) expect(rollout.last).toMatchObject({ state: 'promoted', sha256: v5.sha256 });
    await allAgree('has a source that says the same', ({ bundles }) => bundles.authz?.lastError === undefined);
    checkLoad('the second promotion');
    await sleep(1_000);
    expect(Object.keys(checkLoad('v5'))).toEqual(['v5']);
  });

  /** Kills the one agent that has a process of its own, if it runs, and starts it again; answers when it was ready. */
  async function restartLast(): Promise<number> {
    await load.pause(lastAgent);
    lastProgram.signal('SIGKILL');
    await lastProgram.ended;
    const startMs = performance.now();
    lastProgram = await startAgents([lastAgent]);
    programs.push(lastProgram);
    await eventually(
      async () => ((await ask(lastAgent.operationsPort, { path: '/health/ready' })).status === 200 ? true : undefined),
      SLOW_MACHINE_MS,
    );
    return performance.now() - startMs;
  }
});

/** Which tenants a canary of that many percent takes, by the published rule. */
function armOf(salt: string, { sha256 }: Release): ReadonlySet<string> {
  const share = createShare(salt, sha256);
  return new Set(
    FLEET_TENANTS.filter((tenant) => {
      const anybody: Principal = {
        kind: 'jwt',
        tenant,
        roles: [],
        scopes: [],
        claims: {},
        credentials: [],
        demo: false,
      };
      return share(anybody) < PERCENT;
    }),
  );
}

function opaConfig({ url, publicKeyFile }: FleetServer): string {
  return JSON.stringify({
    services: { sallyport: { url, credentials: { bearer: { token: FLEET_TOKENS.AGENT } } } },
    labels: { agent: 'opa' },
    keys: { [FLEET_KEY]: { algorithm: 'ES256', key: readFileSync(publicKeyFile, 'utf8') } },
    bundles: {
      authz: {
        service: 'sallyport',
        resource: 'bundles/authz',
        signing: { keyid: FLEET_KEY, scope: FLEET_SCOPE },
        polling: { min_delay_seconds: 1, max_delay_seconds: 2, long_polling_timeout_seconds: 30 },
      },
    },
    status: { service: 'sallyport' },
  });
}

/** What the OPA says that it runs. */
async function opaRevision(port: number): Promise<unknown> {
  const { body } = await ask(port, { path: '/v1/data/system/bundles/authz/manifest/revision' });
  return JSON.parse(body)['result'];
}

function fleetUrl({ port }: FleetServer): string {
  return `http://127.0.0.1:${port}`;
}

async function inParallel(count: number, width: number, step: (at: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await step(next);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
}

/** What matters of a status where something else was expected. */
function shown({ bundles, rollout }: AgentStatus): string {
  const { findings: _, ...rest } = rollout;
  return JSON.stringify({ bundles, rollout: rest }).slice(0, 1_000);
}
