import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../support/describe-with.ts';
import { type Envoy, startEnvoy } from '../support/envoy.ts';
import { ask } from '../support/http-client.ts';
import { freePorts } from '../support/ports.ts';
import { eventually } from '../support/programs.ts';
import { caseCount } from '../support/seed.ts';
import { type Service, startService, toServiceConfig } from '../support/service.ts';
import { createTestIssuer, type TestIssuer } from '../support/tokens.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

/** SECURITY row 19. Envoy asks for health every 100 ms; an instance that drains answers on for ten times as long. */
const TERMINATIONS = caseCount(20);
const HEALTH_INTERVAL_MS = 100;
const DRAIN_DELAY_MS = 1_000;
const CLIENTS = 8;

describeWith(['envoy'], 'two instances in one Envoy cluster, terminated in turn under load', () => {
  let folder: string;
  let issuer: TestIssuer;
  let upstream: Upstream;
  let envoy: Envoy;
  let ports: readonly number[];
  const instances: Service[] = [];

  const startInstance = async (index: number): Promise<Service> => {
    const [grpc = 0, http = 0, operations = 0] = ports.slice(3 * index);
    return startService({
      config: await toServiceConfig({
        issuer,
        jwksFile: join(folder, 'jwks.json'),
        drainDelayMs: DRAIN_DELAY_MS,
        ports: { grpc, http, operations },
        eventsFile: join(folder, `events-${index}.jsonl`),
      }),
    });
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-drain-'));
    issuer = await createTestIssuer();
    await issuer.writeJwks(join(folder, 'jwks.json'));
    upstream = await startUpstream();
    ports = await freePorts(6);
    instances.push(await startInstance(0), await startInstance(1));
    envoy = await startEnvoy({
      upstreams: { upstream: { ports: [upstream.port] } },
      listeners: {
        grpc: {
          authz: {
            door: 'grpc',
            at: { ports: instances.map((instance) => instance.port('ext_authz_grpc')) },
            healthChecks: { intervalMs: HEALTH_INTERVAL_MS },
          },
        },
      },
    });
  });

  afterAll(async () => {
    await envoy?.stop();
    await Promise.all([...instances.map((instance) => instance.stop()), upstream?.stop()]);
    await rm(folder, { recursive: true, force: true });
  });

  test(`${TERMINATIONS} × SIGTERM: no request fails`, { timeout: 60_000 + TERMINATIONS * 15_000 }, async () => {
    const token = await issuer.mint({ tenant: 'tenant-a', tier: 'premium', roles: [] });
    const healthy = async (wanted: number): Promise<void> => {
      const stat = 'cluster.authorizer-of-grpc.membership_healthy';
      await eventually(async () => ((await envoy.stat(stat)) === wanted ? true : undefined));
    };
    await healthy(2);

    let running = true;
    let asked = 0;
    const failures: string[] = [];
    let phase = 'before the first';
    const client = async (): Promise<void> => {
      while (running) {
        asked += 1;
        const answer = await ask(envoy.port('grpc'), {
          method: 'POST',
          path: '/tenant-a/llama-3-8b/infer',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: '{"prompt":"x"}',
        }).catch((error: unknown) => ({ status: 0, body: String(error) }));
        if (answer.status !== 200) failures.push(`${answer.status} ${phase} ${answer.body}`);
        // About 400 a second in all: a load, and room for the instance that starts beside it.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    const clients = Array.from({ length: CLIENTS }, client);
    const exits: (number | string)[] = [];
    try {
      for (let turn = 0; turn < TERMINATIONS; turn += 1) {
        const index = turn % 2;
        phase = `turn ${turn}, draining`;
        instances[index]?.program.signal('SIGTERM');
        exits.push((await instances[index]?.program.ended) ?? 'missing');
        phase = `turn ${turn}, starting`;
        instances[index] = await startInstance(index);
        phase = `turn ${turn}, started`;
        await healthy(2);
      }
    } finally {
      running = false;
      await Promise.all(clients);
    }
    console.info(`${TERMINATIONS} terminations, ${asked} requests, ${failures.length} failed`);
    expect(exits).toEqual(Array(TERMINATIONS).fill(0));
    expect(failures).toEqual([]);
    expect(asked).toBeGreaterThan(TERMINATIONS * 20);
  });
});
