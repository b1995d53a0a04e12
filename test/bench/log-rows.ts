import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTestIssuer } from '../support/tokens.ts';
import { benchClaims, GRPC_HEADERS, toGrpcCall } from './calls.ts';
import { cpuMicroseconds } from './cpu.ts';
import { meanOf, medianAdded } from './figures.ts';
import type { LoadResult } from './latency.ts';
import { CONCURRENCY, type Figures, type Row, type RowTools } from './row.ts';
import { type Measured, startMeasuredService, startTask, writeBytes } from './servers.ts';

export type LogRowName = 'check_decision_log';

/** The services take turns, so that what else the machine does weighs on all alike. */
const SLICES = 8;
const CALLS = 16_000;
/** What a file sink needs to write its last lines. */
const WRITTEN_MS = 40;

interface Logging {
  readonly server: Measured;
  /** Once everything of so many checks has left the service. */
  readonly delivered: (checks: number) => Promise<unknown>;
  sent: number;
}

/**
 * The same Check with no decision log (`cpu_us`), with a file for a sink (`file_cpu_us`), and with a spool and an HTTP
 * sink (`spool_http_cpu_us`), whose receiver is another process and not counted, as means; `file_added_cpu_us` and
 * `spool_http_added_cpu_us` are the medians of what the turns differ by. A slice ends once its events have left, so that
 * what is done after the answer is counted too.
 */
export function createLogRows(tools: RowTools): Readonly<Record<LogRowName, () => Promise<Row>>> {
  const { folder, count, load, started } = tools;
  return {
    check_decision_log: async () => {
      const issuer = await createTestIssuer({ algorithm: 'RS256' });
      const bodiesFile = await writeBytes(folder, 'logged', [toGrpcCall(await issuer.mint(benchClaims()))]);
      const receiver = await started(startTask('log-receiver.ts', []));
      const { port } = await receiver.run({});
      const own = await mkdtemp(join(folder, 'decision-log-'));
      const logs = {
        none: { sinks: [] },
        file: { sinks: [{ file: { path: join(own, 'events.jsonl') } }] },
        spool: { sinks: [{ http: { url: `http://127.0.0.1:${port}` } }], spool: { dir: join(own, 'spool') } },
      };
      const start = async (log: object, delivered: Logging['delivered']): Promise<Logging> => ({
        server: await started(startMeasuredService(folder, issuer, { sections: { decision_log: log } })),
        delivered,
        sent: 0,
      });
      const written = (): Promise<unknown> => sleep(WRITTEN_MS);
      const none = await start(logs.none, written);
      const file = await start(logs.file, written);
      const spool = await start(logs.spool, (events) => receiver.run({ events }));
      const calls = Math.round(count(CALLS) / SLICES);

      const measure = async (service: Logging): Promise<{ readonly cpuUs: number; readonly result: LoadResult }> => {
        const { server, delivered } = service;
        const before = cpuMicroseconds(server.pid);
        const result = await load.run({
          kind: 'http2',
          port: server.port('ext_authz_grpc'),
          headers: GRPC_HEADERS,
          bodiesFile,
          count: calls,
          concurrency: CONCURRENCY,
          wanted: 'allow',
        });
        service.sent += calls;
        await delivered(service.sent);
        return { cpuUs: (cpuMicroseconds(server.pid) - before) / calls, result };
      };

      return {
        measure: async (): Promise<Figures> => {
          const turns: Figures[] = [];
          for (let slice = 0; slice < SLICES; slice += 1) {
            const [without, toFile, spooled] = [await measure(none), await measure(file), await measure(spool)];
            turns.push({
              cpu_us: without.cpuUs,
              file_cpu_us: toFile.cpuUs,
              spool_http_cpu_us: spooled.cpuUs,
              p99_ms: without.result.p99Ms,
              spool_http_p99_ms: spooled.result.p99Ms,
            });
          }
          return {
            ...meanOf(turns),
            file_added_cpu_us: medianAdded(turns, 'file_cpu_us', 'cpu_us'),
            spool_http_added_cpu_us: medianAdded(turns, 'spool_http_cpu_us', 'cpu_us'),
          };
        },
      };
    },
  };
}
