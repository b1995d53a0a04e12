import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createActivationRow } from './activation-row.ts';
import { archiveOf, startBundleServer } from './bundle-server.ts';
import { cpuMicroseconds } from './cpu.ts';
import { machineMs } from './monotonic.ts';
import type { Figures, Row, RowTools } from './row.ts';
import { startTask } from './servers.ts';

export type BundleRowName = 'long_poll_500_agents' | 'activation_12_mb' | 'rollback_10_agents';

const LONG_POLLS = 500;
const AGENTS = 10;
/** An agent asks again half a second after an answer at the latest, and then waits at the server. */
const PARKED_MS = 900;

/** What a fleet waits for: a new bundle at everybody, its activation, a bad one gone from everywhere. */
export function createBundleRows(tools: RowTools): Readonly<Record<BundleRowName, () => Promise<Row>>> {
  const { count, folder, started } = tools;
  return {
    long_poll_500_agents: async () => {
      const server = await started(startBundleServer(folder));
      const agents = Math.min(LONG_POLLS, count(LONG_POLLS));
      let releases = 0;
      const publishNext = async () => {
        releases += 1;
        return server.publish(await archiveOf(`r${releases}`));
      };
      await server.promote(await publishNext());
      const task = await started(startTask('polling-agents.ts', [server.url]));
      await task.run({ agents });
      return {
        warmsOnce: true,
        measure: async (): Promise<Figures> => {
          await task.run({ settled: 1 });
          const release = await publishNext();
          const before = cpuMicroseconds(server.pid);
          const all = task.run({ watch: 1 });
          const beganMs = machineMs();
          await server.promote(release);
          const at = await all;
          return {
            half_ms: (at['half_at_ms'] ?? Number.NaN) - beganMs,
            p99_ms: (at['p99_at_ms'] ?? Number.NaN) - beganMs,
            last_ms: (at['last_at_ms'] ?? Number.NaN) - beganMs,
            cpu_us: (cpuMicroseconds(server.pid) - before) / agents,
          };
        },
      };
    },

    activation_12_mb: () => createActivationRow(tools),

    rollback_10_agents: async () => {
      const server = await started(startBundleServer(folder));
      await server.promote(await server.publish(await archiveOf('stable')));
      const candidate = await server.publish(await archiveOf('candidate'));
      const own = await mkdtemp(join(folder, 'agents-'));
      const task = await started(startTask('following-agents.ts', [own, server.url, JSON.stringify(server.trust)]));
      await task.run({ agents: AGENTS });
      return {
        warmsOnce: true,
        measure: async (): Promise<Figures> => {
          await server.order(candidate, { mode: 'canary', percent: 100 });
          await task.run({ candidate: 1 });
          await sleep(PARKED_MS);
          const before = cpuMicroseconds(server.pid);
          const none = task.run({ candidate: 0 });
          const beganMs = machineMs();
          await server.order(candidate, { aborted: true });
          const at = await none;
          return {
            half_ms: (at['half_at_ms'] ?? Number.NaN) - beganMs,
            last_ms: (at['last_at_ms'] ?? Number.NaN) - beganMs,
            cpu_us: (cpuMicroseconds(server.pid) - before) / AGENTS,
          };
        },
      };
    },
  };
}
