import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { parseConfig } from '../../src/config/load.ts';
import { createDecider, type Decider } from '../../src/decider.ts';
import { createHealth } from '../../src/telemetry/health.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { accessRequest, verified } from '../support/core.ts';
import { toServiceConfig } from '../support/service.ts';
import { BUNDLE_TOKEN, LONG_POLL_SECONDS } from './bundle-server.ts';
import { machineMs } from './monotonic.ts';
import { answerTasks } from './task.ts';

/**
 * Whole deciders that follow the orders of a bundle server, in one process. `{agents}` starts them; `{candidate: 1}`
 * answers once the candidate decides on all, `{candidate: 0}` once it does on none, with the machine's time at which half
 * of them and the last had decided so. Decisions are asked for all the while.
 */
const [folder = '', url = '', trust = '{}'] = process.argv.slice(2);
/** Between two decisions of an agent that is watched. */
const ASK_EVERY_MS = 2;

const BODY = Buffer.from('{"prompt":"Name three rivers."}');
const REQUEST = accessRequest({
  headerList: [
    ['content-type', 'application/json'],
    ['content-length', `${BODY.byteLength}`],
  ],
  body: { bytes: BODY, complete: true },
});

interface Agent {
  readonly decider: Decider;
  /** What is in force for those who are on no arm. */
  readonly stable: string;
}

let agents: readonly Agent[] = [];

async function startAgent(number: number): Promise<Agent> {
  const own = join(folder, `agent-${number}`);
  mkdirSync(own);
  const config = {
    ...(await toServiceConfig({ eventsFile: join(own, 'events.jsonl') })),
    bundles: {
      authz: {
        url,
        credentials: { bearer_token: BUNDLE_TOKEN },
        polling: { long_poll_seconds: LONG_POLL_SECONDS, min_delay_seconds: 1, max_delay_seconds: 2 },
        // Written by the parent, from the server that it started.
        trust: JSON.parse(trust) as object,
        orders: { url: `${url}/orders` },
      },
    },
    agent: { data_dir: own },
    rollout: { guard_rails: { compare_first_seconds: 0 }, max_cpu_percent: 0.1 },
  };
  const health = createHealth();
  const decider = createDecider(
    parseConfig(join(own, 'sallyport.yaml'), stringify(config), {}),
    {
      metrics: createMetrics({ processMetrics: false }),
      health,
      logger: createLogger({ level: 'error' }),
      instanceId: randomUUID(),
    },
    { authenticate: () => verified() },
  );
  await decider.start();
  while (!decider.inForce.activator.ready()) await sleep(10);
  return { decider, stable: await revisionOf(decider) };
}

/** The revision that decides, for a verified tenant. */
async function revisionOf(decider: Decider): Promise<string> {
  const { decision, generation } = await decider.authorize(REQUEST);
  if (decision.kind !== 'allow') throw new Error(`an agent answered \`${decision.code}\``);
  return generation?.revisions.get('authz') ?? 'none';
}

async function decidedBy(candidate: boolean): Promise<readonly number[]> {
  const times: number[] = [];
  let watched = agents;
  while (watched.length > 0) {
    const still: Agent[] = [];
    for (const agent of watched) {
      if (((await revisionOf(agent.decider)) !== agent.stable) === candidate) times.push(machineMs());
      else still.push(agent);
    }
    watched = still;
    await sleep(ASK_EVERY_MS);
  }
  return times;
}

answerTasks(async (order) => {
  if (order['agents'] !== undefined) {
    agents = await Promise.all(Array.from({ length: order['agents'] }, (_, number) => startAgent(number)));
    return {};
  }
  const times = await decidedBy(order['candidate'] === 1);
  return { half_at_ms: times[Math.ceil(times.length / 2) - 1] ?? Number.NaN, last_at_ms: times.at(-1) ?? Number.NaN };
});
