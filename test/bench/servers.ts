import { fork } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../support/ports.ts';
import { eventually, startProgram } from '../support/programs.ts';
import { startService, toServiceConfig } from '../support/service.ts';
import type { TestIssuer } from '../support/tokens.ts';
import { ROOT, requireTool } from '../support/tools.ts';
import type { LoadResult } from './latency.ts';
import type { LoadAnswer, LoadOrder } from './load.ts';

/** A server under measurement: a process of its own. */
export interface Measured {
  readonly pid: number;
  port(door: string): number;
  stop(): Promise<unknown>;
}

export async function startEcho(file: 'echo-http2.ts' | 'echo-grpc-js.ts'): Promise<Measured> {
  const program = startProgram(process.execPath, [join(ROOT, 'test/bench', file)]);
  const line = await program.waitForLine((candidate) => candidate.startsWith('listening '));
  const port = Number(line.split(' ')[1]);
  return { pid: program.pid, port: () => port, stop: () => program.stop() };
}

/** The service as it is run: config file, checked-in bundle, one issuer, decision events into a file. */
export async function startMeasuredService(folder: string, issuer: TestIssuer): Promise<Measured> {
  const jwksFile = join(folder, 'jwks.json');
  await issuer.writeJwks(jwksFile);
  const service = await startService({
    config: await toServiceConfig({ issuer, jwksFile, eventsFile: join(folder, 'events.jsonl') }),
  });
  return { pid: service.program.pid, port: (door) => service.port(door), stop: () => service.stop() };
}

/** `opa run --server` on the bundle that the service runs. */
export async function startOpa(): Promise<Measured> {
  const port = await freePort();
  const bundle = join(ROOT, 'bundles/authz.tar.gz');
  const program = startProgram(requireTool('opa'), [
    ...[
      'run',
      '--server',
      '--addr',
      `127.0.0.1:${port}`,
      '--log-level',
      'error',
      '--skip-version-check',
      '--bundle',
      bundle,
    ],
  ]);
  await eventually(async () => ((await fetch(`http://127.0.0.1:${port}/health?bundles`)).ok ? true : undefined));
  return { pid: program.pid, port: () => port, stop: () => program.stop() };
}

/** The one process that makes all load. */
export interface LoadGenerator {
  run(order: LoadOrder): Promise<LoadResult>;
  stop(): void;
}

export function startLoadGenerator(): LoadGenerator {
  const child = fork(join(ROOT, 'test/bench/load.ts'));
  return {
    run: (order) =>
      new Promise((resolve, reject) => {
        child.once('message', (answer: LoadAnswer) => {
          if ('error' in answer) reject(new Error(answer.error));
          else resolve(answer.result);
        });
        child.send(order);
      }),
    stop: () => {
      child.kill();
    },
  };
}

export async function writeBytes(folder: string, name: string, parts: readonly Buffer[]): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, Buffer.concat(parts));
  return file;
}
