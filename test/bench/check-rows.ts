import { createTestIssuer, type TestIssuer } from '../support/tokens.ts';
import { benchClaims, GRPC_HEADERS, toGrpcCall, toHttpCall, toOpaCall } from './calls.ts';
import { CONCURRENCY, measureLoad, type Row, type RowTools } from './row.ts';
import { type Measured, startEcho, startMeasuredService, startOpa, writeBytes } from './servers.ts';

export type CheckRowName =
  | 'http2_echo'
  | 'grpc_js_echo'
  | 'check_no_token'
  | 'check_warm_token'
  | 'check_cold_token'
  | 'http_check_warm_token'
  | 'opa_server';

/** Checks without limits, and what they are compared with; tokens are RS256, as most issuers sign. */
export function createCheckRows(tools: RowTools): Readonly<Record<CheckRowName, () => Promise<Row>>> {
  const { folder, rounds, count, started } = tools;
  let common: Promise<{ readonly issuer: TestIssuer; readonly token: string; readonly warm: string }> | undefined;
  let service: Promise<Measured> | undefined;
  const prepared = () => {
    common ??= createTestIssuer({ algorithm: 'RS256' }).then(async (issuer) => {
      const token = await issuer.mint(benchClaims());
      return { issuer, token, warm: await writeBytes(folder, 'warm', [toGrpcCall(token)]) };
    });
    return common;
  };
  const theService = async (): Promise<Measured> => {
    const { issuer } = await prepared();
    service ??= started(startMeasuredService(folder, issuer));
    return service;
  };

  function grpc(server: Measured, files: readonly string[], wanted: 'echo' | 'allow' | 'deny', calls: number): Row {
    return {
      measure: (round) =>
        measureLoad(tools.load, server, {
          kind: 'http2',
          port: server.port('ext_authz_grpc'),
          headers: GRPC_HEADERS,
          bodiesFile: files[round % files.length] ?? '',
          count: calls,
          concurrency: CONCURRENCY,
          wanted,
        }),
    };
  }

  function http(server: Measured, requestFile: string, wantedBody: string, calls: number): Row {
    return {
      measure: () =>
        measureLoad(tools.load, server, {
          kind: 'http1',
          port: server.port('ext_authz_http'),
          requestFile,
          count: calls,
          concurrency: CONCURRENCY,
          wantedHead: 'HTTP/1.1 200 ',
          wantedBody,
        }),
    };
  }

  return {
    http2_echo: async () => {
      const { warm } = await prepared();
      return grpc(await started(startEcho('echo-http2.ts')), [warm], 'echo', count(20_000));
    },
    grpc_js_echo: async () => {
      const { warm } = await prepared();
      return grpc(await started(startEcho('echo-grpc-js.ts')), [warm], 'echo', count(20_000));
    },
    check_no_token: async () => {
      const file = await writeBytes(folder, 'no-token', [toGrpcCall(undefined)]);
      return grpc(await theService(), [file], 'deny', count(12_000));
    },
    check_warm_token: async () => {
      const { warm } = await prepared();
      return grpc(await theService(), [warm], 'allow', count(12_000));
    },
    check_cold_token: async () => {
      const { issuer } = await prepared();
      const calls = count(2_000);
      const files: string[] = [];
      for (let round = 0; round <= rounds; round += 1) {
        const jobs = Array.from({ length: calls }, (_, number) =>
          issuer.mint({ ...benchClaims(), jti: `${round}-${number}` }),
        );
        files.push(
          await writeBytes(
            folder,
            `cold-${round}`,
            (await Promise.all(jobs)).map((one) => toGrpcCall(one)),
          ),
        );
      }
      return { ...grpc(await theService(), files, 'allow', calls), warmsOnce: true };
    },
    http_check_warm_token: async () => {
      const { token } = await prepared();
      const file = await writeBytes(folder, 'http', [toHttpCall(token)]);
      return http(await theService(), file, '', count(8_000));
    },
    opa_server: async () => {
      const file = await writeBytes(folder, 'opa', [toOpaCall()]);
      return http(await started(startOpa()), file, '"allow":true', count(6_000));
    },
  };
}
