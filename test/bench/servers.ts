import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../support/ports.ts';
import { eventually, startProgram } from '../support/programs.ts';
import { startService, toServiceConfig } from '../support/service.ts';
import type { TestIssuer } from '../support/tokens.ts';
import { ROOT, requireTool } from '../support/tools.ts';
import type { LoadResult } from './latency.ts';
import type { LoadAnswer, LoadOrder } from './load.ts';
import type { Figures } from './row.ts';
import { launchService, SERVICE_FLAGS } from './service-flags.ts';
import type { TaskAnswer, TaskOrder } from './task.ts';

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

export interface MeasuredServiceOptions {
  /** Default: the checked-in bundle without its limits. */
  readonly bundleFile?: string;
  /** Sections of the config that replace the usual ones. */
  readonly sections?: Readonly<Record<string, unknown>>;
}

/** The service as it is run: config file, bundle, one issuer, decision events into a file. */
export async function startMeasuredService(
  folder: string,
  issuer: TestIssuer,
  { bundleFile, sections = {} }: MeasuredServiceOptions = {},
): Promise<Measured> {
  const own = await mkdtemp(join(folder, 'service-'));
  const jwksFile = join(own, 'jwks.json');
  await issuer.writeJwks(jwksFile);
  const config = await toServiceConfig({
    issuer,
    jwksFile,
    eventsFile: join(own, 'events.jsonl'),
    ...(bundleFile === undefined ? {} : { bundleFile }),
  });
  const service = await startService({ config: { ...config, ...sections }, launch: (file) => launchService(file) });
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

/** A program that measures itself. */
export interface Task {
  readonly pid: number;
  run(order: TaskOrder): Promise<Figures>;
  stop(): Promise<void>;
}

export async function startTask(file: string, args: readonly string[]): Promise<Task> {
  const child = fork(join(ROOT, 'test/bench', file), args, { execArgv: [...SERVICE_FLAGS] });
  return {
    pid: child.pid ?? -1,
    run: async (order) => {
      const answer = await asked<TaskAnswer>(child, order);
      if ('error' in answer) throw new Error(answer.error);
      return answer.figures;
    },
    stop: async () => {
      child.kill();
    },
  };
}

/** The one answer to a message; rejects where the process ends before it. */
function asked<Answer>(child: ChildProcess, order: TaskOrder | LoadOrder): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error('the process ended before it answered'));
    child.once('exit', ended);
    child.once('message', (answer) => {
      child.off('exit', ended);
      // Each program answers what its protocol says.
      resolve(answer as Answer);
    });
    child.send(order);
  });
}

/** The one process that makes all load. */
export interface LoadGenerator {
  run(order: LoadOrder): Promise<LoadResult>;
  stop(): void;
}

export function startLoadGenerator(): LoadGenerator {
  const child = fork(join(ROOT, 'test/bench/load.ts'));
  return {
    run: async (order) => {
      const answer = await asked<LoadAnswer>(child, order);
      if ('error' in answer) throw new Error(answer.error);
      return answer.result;
    },
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
