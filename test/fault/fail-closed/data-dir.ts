import { execFileSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type FolderLock, lockFolder } from '../../../src/quota/ledger/ledger-lock.ts';
import { buildCatalogBundle } from '../../support/catalog-bundle.ts';
import { ask } from '../../support/http-client.ts';
import { bearer, INFER_PATH, wholeJsonBody } from '../../support/infer-request.ts';
import { eventually } from '../../support/programs.ts';
import { startService, toServiceConfig } from '../../support/service.ts';
import { startSystemTimer } from '../../support/system-ports.ts';
import { createTestIssuer } from '../../support/tokens.ts';
import type { Trials } from './matrix.ts';
import { type StartFiles, startWith } from './start-up.ts';

/** What a start comes to with a `data_dir` that was prepared so. */
function starting(prepare: (folder: string) => Promise<unknown>): Promise<string> {
  return startWith(async (files: StartFiles) => {
    const folder = join(files.folder, 'data');
    await mkdir(folder);
    await prepare(folder);
    await writeFile(files.configFile, stringify({ ...files.config, quota: { data_dir: folder } }));
  });
}

/** Another process has this part of the folder; its lock is this process's, which lives. */
async function inUse(part: 'memory' | 'ledger'): Promise<string> {
  let lock: FolderLock | undefined;
  const prepare = async (folder: string): Promise<void> => {
    await mkdir(join(folder, part));
    const ports = { startTimer: startSystemTimer, randomId: randomUUID, nowMs: () => Date.now() };
    lock = await lockFolder(join(folder, part), ports);
  };
  try {
    return await starting(prepare);
  } finally {
    await lock?.release();
  }
}

const USAGE_TOKEN = randomUUID();
const CHAT = '/v1/chat/completions';
const CHAT_BODY = JSON.stringify({ model: 'llama-3-8b', max_tokens: 100, messages: [{ role: 'user', content: 'hi' }] });

/** A service with windows and a ledger, while its process may not write another byte to any file, and afterwards. */
async function fullDisk(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-full-disk-'));
  const issuer = await createTestIssuer();
  const jwksFile = join(folder, 'jwks.json');
  await issuer.writeJwks(jwksFile);
  const bundle = await buildCatalogBundle((catalog) => {
    const day = { key: ['tenant'], unit: 'requests', kind: 'window', calendar: 'day', zone: 'UTC', scope: 'tenant' };
    const limits = { ...(catalog['limits'] as object), 'calls-per-day': { ...day, cost: 'request', size: 1_000 } };
    Object.assign(catalog, { limits });
    for (const route of catalog.routes) {
      if (route['name'] === 'infer') route['limits'] = ['calls-per-day'];
      if (route['name'] === 'chat') route['limits'] = ['tokens-per-minute'];
    }
  });
  const config = await toServiceConfig({ issuer, jwksFile, bundleFile: bundle.file });
  const sha256 = createHash('sha256').update(USAGE_TOKEN).digest('hex');
  const service = await startService({
    config: {
      ...config,
      operations: { listen: '127.0.0.1:0', drain_delay_ms: 0, tokens: [{ sha256, rights: ['usage'] }] },
      quota: { data_dir: join(folder, 'data') },
    },
  });
  const token = await issuer.mint({ tenant: 'tenant-a', tier: 'premium', roles: ['inference'] });
  const check = async (path: string, body: string): Promise<{ readonly status: number; readonly id: string }> => {
    const headers = { ...wholeJsonBody(body), ...bearer(token) };
    const asked = { method: 'POST', path: `/ext-authz${path}`, headers, body };
    const { status, headers: told } = await ask(service.port('ext_authz_http'), asked);
    return { status, id: String(told['x-sallyport-reservation-id'] ?? '') };
  };
  const settle = async (id: string): Promise<number> => {
    const body = JSON.stringify({ reservation_id: id, usage: { prompt_tokens: 3, completion_tokens: 5 } });
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${USAGE_TOKEN}` };
    const url = `http://127.0.0.1:${service.port('operations')}/v1/usage`;
    return (await fetch(url, { method: 'POST', headers, body })).status;
  };
  const limitFiles = (size: string): unknown =>
    execFileSync('prlimit', ['--pid', String(service.program.pid), `--fsize=${size}`]);
  try {
    const reserved = await check(CHAT, CHAT_BODY);
    const before = await check(INFER_PATH, '{}');
    if (reserved.status !== 200 || before.status !== 200) return `${reserved.status} ${before.status} before the fault`;
    limitFiles('0:unlimited');
    // The one whose line is the first that cannot be written.
    await check(INFER_PATH, '{}');
    const during = [await settle(reserved.id), (await check(INFER_PATH, '{}')).status, await settle(reserved.id)];
    const other = (await check(CHAT, CHAT_BODY)).status;
    limitFiles('unlimited:unlimited');
    const after = await eventually(async () => {
      const statuses = [await settle(reserved.id), (await check(INFER_PATH, '{}')).status];
      return statuses.join() === '200,200' ? statuses : undefined;
    }, 10_000);
    const seen = `settle ${during[0]} ${during[2]}, window ${during[1]}, other ${other}, after it ${after.join(' ')}`;
    return seen === 'settle 503 503, window 403, other 200, after it 200 200'
      ? 'settle 503, windows denied, and well again after'
      : seen;
  } finally {
    await service.stop();
    bundle.remove();
    await rm(folder, { recursive: true, force: true });
  }
}

export const dataDirTrials: Trials = {
  healthy: () => starting(async () => undefined),
  faults: {
    // A file stands where a folder must be.
    down: () => starting((folder) => writeFile(join(folder, 'memory'), '')),
    garbage: () =>
      starting(async (folder) => {
        await mkdir(join(folder, 'memory'));
        await writeFile(join(folder, 'memory/key'), 'not a key');
      }),
    // Windows without the key that says whose they are.
    partial: () =>
      starting(async (folder) => {
        await mkdir(join(folder, 'memory'));
        await writeFile(join(folder, 'memory/windows'), '');
      }),
    reset: async () => [...new Set([await inUse('memory'), await inUse('ledger')])].join(' / '),
    full: fullDisk,
  },
};
