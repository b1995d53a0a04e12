import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import type { DecisionEvent } from '../../src/decision-log/event.ts';
import { START_SCRIPT } from '../bench/service-flags.ts';
import { decodeCheckResponse } from '../support/ext-authz-proto.ts';
import { createCheckClient } from '../support/grpc-client.ts';
import { ask } from '../support/http-client.ts';
import { inferRequest } from '../support/infer-request.ts';
import { freePort } from '../support/ports.ts';
import { eventually, type Program, startProgram } from '../support/programs.ts';
import { startService, toServiceConfig } from '../support/service.ts';
import { ROOT } from '../support/tools.ts';
import { pinOf, SHIPPED } from '../unit/bundle/shipped.ts';

/** What a newcomer may expect of `npm start`, in milliseconds and MB; asserted with five and two times the slack. */
const FIRST_ANSWER_MS = 1_500;
const IDLE_RSS_MB = 150;

describe('npm start', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-start-'));
  let program: Program;
  let spawnedMs: number;

  beforeAll(async () => {
    const [command = '', ...args] = startCommand(shippedOnFreePorts(folder));
    spawnedMs = performance.now();
    program = startProgram(command, args, { env: { NODE_ENV: undefined, KUBERNETES_SERVICE_HOST: undefined } });
    await program.waitForLine((line) => line.startsWith('curl '), 5 * FIRST_ANSWER_MS);
  });
  afterAll(async () => {
    await program?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('answers its first check soon after it was typed', async () => {
    const [first = ''] = curlLines(program);
    expect(await statusByNode(first)).toBe(200);
    const tookMs = performance.now() - spawnedMs;
    console.info(`start: first answered check ${Math.round(tookMs)} ms after the spawn (target ${FIRST_ANSWER_MS})`);
    expect(tookMs).toBeLessThan(5 * FIRST_ANSWER_MS);
  });

  test('prints two lines to paste: the first is answered 200, the second 403', async () => {
    const lines = curlLines(program);
    expect(lines).toHaveLength(2);
    const statuses = await Promise.all(lines.map((line) => (hasCurl() ? statusByCurl(line) : statusByNode(line))));
    console.info(`start: pasted with ${hasCurl() ? 'curl' : 'node (there is no curl)'}: ${statuses.join(', ')}`);
    expect(statuses).toEqual([200, 403]);
  });

  test('ends its start-up with these lines, and marks decisions of their token as demo', async () => {
    const written = program.lines().filter((line) => line !== '');
    const start = written.slice(0, written.findLastIndex((line) => line.startsWith('curl ')) + 1);
    expect(start.slice(-2).every((line) => line.startsWith('curl '))).toBe(true);
    const events = await eventually(() => {
      const found = program.lines().filter((line) => line.startsWith('{"decision_id"'));
      return found.length >= 2 ? found : undefined;
    });
    // Each line is an event that the service wrote.
    for (const event of events.map((line) => JSON.parse(line) as DecisionEvent)) expect(event.demo).toBe(true);
  });

  test.skipIf(!existsSync('/proc/self/status'))('is small when idle', async () => {
    await sleep(1_000);
    const rssMb = rssOf(program.pid) / 1_024;
    console.info(`start: ${Math.round(rssMb)} MB RSS when idle (target ${IDLE_RSS_MB})`);
    expect(rssMb).toBeLessThan(2 * IDLE_RSS_MB);
  });

  test('ends with 0 on SIGTERM', async () => {
    expect(await program.stop(15_000)).toBe(0);
  });
});

describe('a bundle url that does not answer', () => {
  const open: (() => Promise<void> | void)[] = [];
  afterAll(async () => {
    for (const close of open.splice(0).reverse()) await close();
  });

  test('is no reason not to start: not ready and denying, until the bundle comes', async () => {
    const port = await freePort();
    const polling = { min_delay_seconds: 0.2, max_delay_seconds: 0.5, timeout_ms: 2_000 };
    const authz = { url: `http://127.0.0.1:${port}/authz.tar.gz`, polling, trust: pinOf(SHIPPED) };
    const config = { ...(await toServiceConfig()), bundles: { authz } };
    const service = await startService({ config, waitUntilReady: false });
    open.push(() => service.stop());
    const client = createCheckClient(`127.0.0.1:${service.port('ext_authz_grpc')}`);
    open.push(() => client.close());

    expect(await readiness(service)).toMatchObject({ status: 503, body: expect.stringContaining('bundles') });
    expect((await ask(service.port('operations'), { path: '/health/live' })).status).toBe(200);
    const { status, deniedResponse } = decodeCheckResponse(await client.check(inferRequest()));
    expect(status?.code).toBeGreaterThan(0);
    expect(deniedResponse?.status?.code).toBe(503);
    expect(JSON.parse(deniedResponse?.body ?? '')).toMatchObject({ reason: 'unavailable' });
    const overHttp = await ask(service.port('ext_authz_http'), { path: '/ext-authz/x' });
    // To Envoy a 5xx would be an error, which may pass.
    expect({ status: overHttp.status, reason: JSON.parse(overHttp.body).reason }).toEqual({
      status: 403,
      reason: 'unavailable',
    });
    await service.program.waitForLine((line) => line.includes('"code":"no_bundle"'));
    await service.program.waitForLine((line) => line.includes('"code":"bundle_unreachable"'));

    // A wrong bundle does not make it ready either.
    const server = await serve(port, Buffer.from('not a bundle'));
    open.push(() => new Promise((closed) => server.close(() => closed())));
    await service.program.waitForLine((line) => line.includes('"code":"bundle_untrusted"'));
    expect((await readiness(service)).status).toBe(503);

    server.removeAllListeners('request');
    server.on('request', (_request, response) => response.end(SHIPPED));
    await eventually(async () => ((await readiness(service)).status === 200 ? true : undefined));
    const answered = decodeCheckResponse(await client.check(inferRequest()));
    expect(answered.deniedResponse?.status?.code).toBe(401);
  });

  const readiness = (service: { port(door: string): number }) =>
    ask(service.port('operations'), { path: '/health/ready' });
});

/** The shipped config, its ports free ones and its paths absolute: all else is what `npm start` runs. */
function shippedOnFreePorts(folder: string): string {
  // The shipped file; `check-config` has looked at it.
  const config = parse(readFileSync(join(ROOT, 'sallyport.yaml'), 'utf8')) as {
    readonly doors: Record<string, { listen: string }>;
    readonly operations: { listen: string };
    readonly bundles: { readonly authz: { file: string } };
  };
  for (const listener of [...Object.values(config.doors), config.operations]) listener.listen = '127.0.0.1:0';
  config.bundles.authz.file = join(ROOT, config.bundles.authz.file);
  const file = join(folder, 'sallyport.yaml');
  writeFileSync(file, stringify(config));
  return file;
}

/** The script of package.json, with that config in the place of the shipped one. */
function startCommand(configFile: string): readonly string[] {
  // package.json is npm's, and has this script.
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: { start: string } };
  expect(scripts.start).toBe(START_SCRIPT);
  const words = scripts.start.split(' ').map((word) => (word === 'sallyport.yaml' ? configFile : word));
  return ['env', ...words.map((word) => (word === 'node' ? process.execPath : word))];
}

function curlLines(program: Program): readonly string[] {
  return program.lines().filter((line) => line.startsWith('curl '));
}

function hasCurl(): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'curl')));
}

const run = promisify(execFile);

/** Pastes the line as it is; `-i` is in it, so the status is in the first line of the answer. */
async function statusByCurl(line: string): Promise<number> {
  const { stdout } = await run('sh', ['-c', line], { timeout: 20_000 });
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(stdout)?.[1]);
}

async function statusByNode(line: string): Promise<number> {
  const quoted = [...line.matchAll(/-(H|d) '([^']*)'/g)].map(([, flag = '', text = '']) => ({ flag, text }));
  const headers = quoted.filter(({ flag }) => flag === 'H').map(({ text }) => text.split(': ') as [string, string]);
  const body = quoted.find(({ flag }) => flag === 'd')?.text ?? '';
  const [, port, path] = / http:\/\/127\.0\.0\.1:(\d+)(\/\S*)$/.exec(line) ?? [];
  const answer = await ask(Number(port), {
    method: / -X (\w+) /.exec(line)?.[1] ?? 'GET',
    path: path ?? '',
    headers: Object.fromEntries(headers),
    body,
  });
  return answer.status;
}

function rssOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

async function serve(port: number, bytes: Uint8Array): Promise<Server> {
  const server = createServer((_request, response) => response.end(bytes));
  await new Promise<void>((listening) => {
    server.listen(port, '127.0.0.1', listening);
  });
  // It listens on TCP.
  expect((server.address() as AddressInfo).port).toBe(port);
  return server;
}
