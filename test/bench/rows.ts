import { createTestIssuer } from '../support/tokens.ts';
import { CLAIMS, GRPC_HEADERS, toGrpcCall, toHttpCall, toOpaCall } from './calls.ts';
import type { LoadOrder } from './load.ts';
import { type Measured, startEcho, startMeasuredService, startOpa, writeBytes } from './servers.ts';

/** One line of the table: which process is measured while which load runs. */
export interface Row {
  readonly name: RowName;
  readonly pid: number;
  readonly count: number;
  /** The load of a round; round 0 is the warm-up. */
  order(round: number): LoadOrder;
}

export const ROW_NAMES = [
  'http2_echo',
  'grpc_js_echo',
  'check_no_token',
  'check_warm_token',
  'check_cold_token',
  'http_check_warm_token',
  'opa_server',
] as const;

export type RowName = (typeof ROW_NAMES)[number];

export interface RowOptions {
  /** For the files that carry calls to the load generator. */
  readonly folder: string;
  readonly rounds: number;
  /** Scales every row's count. */
  readonly scale: number;
  readonly names: readonly RowName[];
}

const CONCURRENCY = 32;

/** Starts the servers that the rows need and writes the rows' calls; tokens are RS256, as most issuers sign. */
export async function prepareRows(options: RowOptions): Promise<{ rows: readonly Row[]; stop: () => Promise<void> }> {
  const { folder, rounds, names } = options;
  const started: Measured[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((server) => server.stop()));
  };
  const start = async (starting: Promise<Measured>): Promise<Measured> => {
    const server = await starting;
    started.push(server);
    return server;
  };
  const count = (full: number): number => Math.max(CONCURRENCY, Math.round(full * options.scale));
  const grpc = (server: Measured, files: readonly string[], wanted: 'echo' | 'allow' | 'deny', calls: number) => ({
    pid: server.pid,
    count: calls,
    order: (round: number): LoadOrder => ({
      kind: 'http2',
      port: server.port('ext_authz_grpc'),
      headers: GRPC_HEADERS,
      bodiesFile: files[round % files.length] ?? '',
      count: calls,
      concurrency: CONCURRENCY,
      wanted,
    }),
  });
  const http = (server: Measured, requestFile: string, wantedBody: string, calls: number) => ({
    pid: server.pid,
    count: calls,
    order: (): LoadOrder => ({
      kind: 'http1',
      port: server.port('ext_authz_http'),
      requestFile,
      count: calls,
      concurrency: CONCURRENCY,
      wantedHead: 'HTTP/1.1 200 ',
      wantedBody,
    }),
  });

  try {
    const issuer = await createTestIssuer({ algorithm: 'RS256' });
    const token = await issuer.mint(CLAIMS);
    const warm = await writeBytes(folder, 'warm', [toGrpcCall(token)]);
    let service: Measured | undefined;
    const theService = async (): Promise<Measured> => {
      service ??= await start(startMeasuredService(folder, issuer));
      return service;
    };
    const makers: Record<RowName, () => Promise<Omit<Row, 'name'>>> = {
      http2_echo: async () => grpc(await start(startEcho('echo-http2.ts')), [warm], 'echo', count(20_000)),
      grpc_js_echo: async () => grpc(await start(startEcho('echo-grpc-js.ts')), [warm], 'echo', count(20_000)),
      check_no_token: async () => {
        const file = await writeBytes(folder, 'no-token', [toGrpcCall(undefined)]);
        return grpc(await theService(), [file], 'deny', count(12_000));
      },
      check_warm_token: async () => grpc(await theService(), [warm], 'allow', count(12_000)),
      check_cold_token: async () => {
        const calls = count(2_000);
        const files: string[] = [];
        for (let round = 0; round <= rounds; round += 1) {
          const jobs = Array.from({ length: calls }, (_, number) =>
            issuer.mint({ ...CLAIMS, jti: `${round}-${number}` }),
          );
          files.push(await writeBytes(folder, `cold-${round}`, (await Promise.all(jobs)).map(toGrpcCall)));
        }
        return grpc(await theService(), files, 'allow', calls);
      },
      http_check_warm_token: async () => {
        const file = await writeBytes(folder, 'http', [toHttpCall(token)]);
        return http(await theService(), file, '', count(8_000));
      },
      opa_server: async () => {
        const file = await writeBytes(folder, 'opa', [toOpaCall()]);
        return http(await start(startOpa()), file, '"allow":true', count(6_000));
      },
    };
    const rows: Row[] = [];
    for (const name of names) rows.push({ name, ...(await makers[name]()) });
    return { rows, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
