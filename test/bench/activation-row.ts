import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from '../support/http-client.ts';
import { eventually } from '../support/programs.ts';
import { startService, toServiceConfig } from '../support/service.ts';
import { createTestIssuer } from '../support/tokens.ts';
import { ROOT } from '../support/tools.ts';
import { archiveOf, BUNDLE_TOKEN, LONG_POLL_SECONDS, startBundleServer } from './bundle-server.ts';
import { benchClaims, toGrpcCall } from './calls.ts';
import { LINE } from './loop-probe.ts';
import { DATA_BYTES, withManyTenants } from './many-tenants.ts';
import type { Figures, Row, RowTools } from './row.ts';
import { startTask, writeBytes } from './servers.ts';
import { launchService } from './service-flags.ts';

const CHECKS_PER_SECOND = 200;
/** For how long a spare instance of the policy is made after it. */
const SPARE_MS = 1_000;

/**
 * A service at 200 checks a second takes over a bundle with 12 MB of data from a bundle server: `activation_ms` from
 * having downloaded it to in force, `trial_ms` of that the loading in the worker, `blocked_ms` the longest that the event
 * loop stood still, and what the checks of that time took, from when each was due.
 */
export async function createActivationRow({ count, folder, started }: RowTools): Promise<Row> {
  const server = await started(startBundleServer(folder));
  const large = (text: string): string => withManyTenants(text, count(DATA_BYTES));
  const archives = [await archiveOf('large-1', large), await archiveOf('large-2', large)];
  const own = await mkdtemp(join(folder, 'activation-'));
  const issuer = await createTestIssuer({ algorithm: 'RS256' });
  const jwksFile = join(own, 'jwks.json');
  await issuer.writeJwks(jwksFile);
  const small = await server.publish(await archiveOf('small'));
  await server.promote(small);
  const service = await started(
    startService({
      config: {
        ...(await toServiceConfig({ issuer, jwksFile, eventsFile: join(own, 'events.jsonl') })),
        bundles: {
          authz: {
            url: server.url,
            credentials: { bearer_token: BUNDLE_TOKEN },
            polling: { long_poll_seconds: LONG_POLL_SECONDS, min_delay_seconds: 1, max_delay_seconds: 2 },
            trust: server.trust,
          },
        },
        agent: { data_dir: own },
      },
      launch: (file) => launchService(file, ['--import', join(ROOT, 'test/bench/loop-probe.ts')]),
    }),
  );
  const { program } = service;
  const body = await writeBytes(folder, 'paced', [toGrpcCall(await issuer.mint(benchClaims()))]);
  const checks = await started(startTask('paced-checks.ts', [String(service.port('ext_authz_grpc')), body]));

  let questions = 0;
  const blockedMs = async (): Promise<number> => {
    questions += 1;
    program.signal('SIGUSR2');
    const line = await program.waitForLine((candidate) => candidate.startsWith(`${LINE} ${questions} `));
    return Number(line.split(' ')[2]);
  };
  const inForce = async (): Promise<{ readonly version: number; readonly tookMs: number }> => {
    const { body: text } = await ask(service.port('operations'), { path: '/v1/status' });
    // The service's own status.
    const { authz } = (JSON.parse(text) as ServiceStatus).bundles;
    return { version: authz.version, tookMs: authz.activatedAtEpochMs - authz.downloadedAtEpochMs };
  };
  /** What the service said of its last trial: loading it in the worker. */
  const trialMs = (): number => {
    const line = program.lines().findLast((candidate) => candidate.includes('bundles passed their trial'));
    return line === undefined ? Number.NaN : (JSON.parse(line) as { readonly loadMs: number }).loadMs;
  };

  return {
    warmsOnce: true,
    rounds: 3,
    measure: async (round): Promise<Figures> => {
      // Signed anew, the same content is a new version; every other round it is other content.
      const release = await server.publish(archives[round % 2] ?? new Uint8Array());
      await checks.run({ per_second: CHECKS_PER_SECOND });
      await blockedMs();
      await server.promote(release);
      const { tookMs } = await eventually(async () => {
        const now = await inForce();
        return now.version === release.version ? now : undefined;
      }, 60_000);
      const meanwhile = await checks.run({ finish: 1 });
      await sleep(SPARE_MS);
      return { activation_ms: tookMs, trial_ms: trialMs(), blocked_ms: await blockedMs(), ...meanwhile };
    },
  };
}

interface ServiceStatus {
  readonly bundles: {
    readonly authz: {
      readonly version: number;
      readonly activatedAtEpochMs: number;
      readonly downloadedAtEpochMs: number;
    };
  };
}
