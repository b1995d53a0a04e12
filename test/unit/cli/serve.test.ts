import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { BundleError } from '../../../src/bundle/errors.ts';
import { tellError } from '../../../src/cli/exit-code.ts';
import { createServe, type ServedService } from '../../../src/cli/serve.ts';
import { ConfigError } from '../../../src/config/fault.ts';
import { exitCodeOf } from '../../../src/main.ts';
import { runCaptured } from '../../support/captured-io.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-serve-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function written(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

const MISSING_BUNDLE = `bundles:
  authz: { file: no-such-bundle.tar.gz, trust: { sha256: "${'0'.repeat(64)}" } }
`;

describe('serve, with a bad config', () => {
  test('exits 3 for its faults, although the bundle is missing too: no bundle was opened', async () => {
    const file = written('fault-and-no-bundle.yaml', `doors: { ext_authz_grpc: { listen: 9191 } }\n${MISSING_BUNDLE}`);
    const { code, stdout, stderr } = await runCaptured(exitCodeOf, ['serve', '--config', file]);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toBe(`${file}:1: doors.ext_authz_grpc.listen: is not of type string\n`);
  });

  test.each([
    ['a file that is not there', () => join(folder, 'none.yaml')],
    ['an empty file', () => written('empty.yaml', '')],
    ['a list', () => written('list.yaml', '- doors\n')],
    ['no YAML', () => written('no.yaml', '{"doors": [')],
    ['a binary file', () => written('binary.yaml', '\u0000\u0001\u0002')],
    ['a YAML bomb', () => written('bomb.yaml', bomb())],
    ['an alias of nothing', () => written('alias.yaml', 'doors: *nothing\n')],
  ])('exits 3 for %s', async (_name, file) => {
    const { code, stdout, stderr } = await runCaptured(exitCodeOf, ['serve', '--config', file()]);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toContain('.yaml');
  });
});

describe('an error ends a command with the code that stands for it', () => {
  test.each([
    [
      new ConfigError('a.yaml', [{ path: 'doors', message: 'is compulsory', line: 3 }]),
      3,
      'a.yaml:3: doors: is compul',
    ],
    [new BundleError('bundle_truncated', 'bundle `authz`: it ends early'), 4, 'serve: bundle `authz`: it ends early'],
    [new Error('listen EADDRINUSE: 127.0.0.1:9191'), 1, 'serve: listen EADDRINUSE'],
    ['a text that was thrown', 1, 'serve: a text that was thrown'],
  ])('%s', async (error, code, wanted) => {
    const ran = await runCaptured((_argv, io) => Promise.resolve(tellError(error, 'serve', io)), []);
    expect(ran).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(wanted) });
    expect(ran.stderr).not.toContain('    at ');
  });
});

describe('serve, while it runs', () => {
  const config = written('good.yaml', `doors: { ext_authz_grpc: { listen: "127.0.0.1:0" } }\n${MISSING_BUNDLE}`);

  test('ends with 0 once a signal stopped it', async () => {
    const { process, calls, ran } = serve();
    await process.listening('SIGTERM');
    process.emit('SIGTERM');
    expect(await ran).toMatchObject({ code: 0, stdout: '' });
    expect(calls).toEqual(['start', 'stop']);
    expect(process.exits).toEqual([]);
  });

  test('ends at once at a second signal', async () => {
    const { process, ran } = serve({ stop: () => new Promise((resolve) => setTimeout(resolve, 20)) });
    await process.listening('SIGINT');
    process.emit('SIGINT');
    process.emit('SIGTERM');
    expect(process.exits).toEqual([1]);
    await ran;
  });

  test('prints two lines to paste where there is a demo issuer', async () => {
    const { process, ran } = serve({ demo: () => Promise.resolve({ token: 'a.b.c', address: '127.0.0.1:8181' }) });
    await process.listening('SIGTERM');
    process.emit('SIGTERM');
    const lines = (await ran).stdout.split('\n').filter((line) => line.startsWith('curl '));
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).toMatch(/Bearer a\.b\.c.* http:\/\/127\.0\.0\.1:8181\/ext-authz\//);
  });

  test('does not end for a promise that nobody awaited, and does for an error that nobody caught', async () => {
    const { process, calls, ran } = serve();
    await process.listening('SIGTERM');
    process.emit('unhandledRejection', new Error('forgotten'));
    expect(process.exits).toEqual([]);
    process.emit('uncaughtException', new Error('unforeseen'));
    expect(process.exits).toEqual([1]);
    expect(calls).toEqual(expect.arrayContaining(['unhandledRejection: forgotten', 'uncaughtException: unforeseen']));
    process.emit('SIGTERM');
    await ran;
  });

  test('a start that fails is the end of it', async () => {
    const { ran } = serve({ start: () => Promise.reject(new BundleError('bundle_missing', 'bundle `authz`: gone')) });
    await expect(ran).rejects.toMatchObject({ code: 'bundle_missing' });
  });

  function serve(parts: Partial<ServedService> = {}) {
    const calls: string[] = [];
    const process = fakeProcess();
    const service: ServedService = {
      start: () => Promise.resolve(void calls.push('start')),
      stop: () => Promise.resolve(void calls.push('stop')),
      demo: () => Promise.resolve(undefined),
      uncaught: (kind, error) => void calls.push(`${kind}: ${error instanceof Error ? error.message : ''}`),
      ...parts,
    };
    // Only `on` and `exit` are asked for, and `exit` comes back here where a process would be gone.
    const ports = { createService: () => service, process: process as unknown as NodeJS.Process };
    return { process, calls, ran: runCaptured(createServe(ports), ['--config', config]) };
  }
});

/** Signals on demand, and an `exit` that is only noted. */
function fakeProcess() {
  const listeners = new Map<string, (value?: unknown) => void>();
  const exits: unknown[] = [];
  return {
    exits,
    on: (name: string, listener: (value?: unknown) => void) => listeners.set(name, listener),
    exit: (code: unknown) => exits.push(code),
    emit: (name: string, value?: unknown) => listeners.get(name)?.(value),
    listening: (name: string) => expect.poll(() => listeners.has(name)).toBe(true),
  };
}

function bomb(): string {
  const levels = Array.from({ length: 12 }, (_, level) =>
    level === 0 ? 'a0: &a0 [x, x, x, x, x, x, x, x]' : `a${level}: &a${level} [${`*a${level - 1}, `.repeat(8)}]`,
  );
  return `${levels.join('\n')}\n`;
}
