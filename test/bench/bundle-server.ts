import { createHash } from 'node:crypto';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type ArchiveFiles, packArchive, readArchive } from '../../src/bundle/archive.ts';
import { signBundle } from '../../src/bundle/signing/bundle-signature.ts';
import type { RolloutOrder } from '../../src/bundle/signing/claims.ts';
import { signRolloutOrder } from '../../src/bundle/signing/rollout-order.ts';
import { freePort } from '../support/ports.ts';
import { startProgram } from '../support/programs.ts';
import { claimsOf, newSigner, orderOf } from '../support/signed-bundles.ts';
import { ROOT } from '../support/tools.ts';
import { unthrottledBundle } from '../support/unthrottled-bundle.ts';

/** Every right of the server that is measured. */
export const BUNDLE_TOKEN = 'bench-token';
const SCOPE = 'prod';
/** How long an agent waits at the server: longer than a round, so that nobody asks again while other rows are measured. */
export const LONG_POLL_SECONDS = 600;

export interface Published {
  readonly sha256: string;
  readonly version: number;
  readonly revision: string;
}

/** `sallyport bundles serve`, and the author whose archives and orders it takes. */
export interface BundleServerUnderLoad {
  readonly pid: number;
  readonly url: string;
  /** `trust` of an agent, with the name and file of the author's key. */
  readonly trust: { readonly keys: { readonly [kid: string]: string }; readonly scope: string };
  /** Signs the archive as the next version. */
  publish(archive: Uint8Array): Promise<Published>;
  promote(published: Published): Promise<void>;
  /** Signs the next order about a candidate. */
  order(candidate: Published, changes: Partial<RolloutOrder>): Promise<void>;
  stop(): Promise<unknown>;
}

export async function startBundleServer(folder: string): Promise<BundleServerUnderLoad> {
  const own = await mkdtemp(join(folder, 'bundle-server-'));
  const signer = newSigner('bench');
  const key = join(own, 'bench.public.pem');
  await writeFile(key, signer.publicPem);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/v1/bundles/authz`;
  const config = join(own, 'bundle-server.yaml');
  await writeFile(
    config,
    stringify({
      listen: `127.0.0.1:${port}`,
      storage: { disk: { dir: 'store' } },
      audit_log: 'audit.jsonl',
      limits: { max_wait_seconds: LONG_POLL_SECONDS },
      bundles: { authz: { keys: { [signer.kid]: key }, scope: SCOPE } },
      tokens: [
        {
          name: 'bench',
          sha256: createHash('sha256').update(BUNDLE_TOKEN).digest('hex'),
          rights: ['read', 'publish', 'promote'],
          bundles: ['authz'],
        },
      ],
    }),
  );
  const args = [join(ROOT, 'src/main.ts'), 'bundles', 'serve', '--config', config];
  const program = startProgram(process.execPath, args);
  await program.waitForLine((line) => line.includes('the bundle server is ready'));
  let version = 0;
  let orders = 0;

  return {
    pid: program.pid,
    url,
    trust: { keys: { [signer.kid]: key }, scope: SCOPE },
    publish: async (archive) => {
      version += 1;
      const revision = revisionOf(readArchive(archive));
      const claims = claimsOf({ version, revision, minRollbackVersion: 0, ...times() });
      const signature = signBundle(archive, claims, signer);
      await demand(`${url}/archives`, 'PUT', { 'x-sallyport-signature': signature }, archive);
      return { version, revision, sha256: createHash('sha256').update(archive).digest('hex') };
    },
    promote: ({ sha256 }) => postJson(`${url}/channels/stable`, { sha256 }),
    order: async (candidate, changes) => {
      orders += 1;
      const order = signRolloutOrder(orderOf({ version: orders, candidate, ...times(), ...changes }), signer);
      await postJson(`${url}/orders`, { order });
    },
    stop: () => program.stop(),
  };
}

/** The checked-in bundle without its limits, under another revision, and with what `change` makes of its data. */
export async function archiveOf(revision: string, change: (text: string) => string = (text) => text) {
  const files = readArchive(await readFile(unthrottledBundle()));
  const { '.manifest': manifest, 'data.json': data } = Object.fromEntries(files);
  return packArchive(
    new Map([
      ...files,
      ['.manifest', Buffer.from(JSON.stringify({ ...JSON.parse(textOf(manifest)), revision }))],
      ['data.json', Buffer.from(change(textOf(data)))],
    ]),
  );
}

function revisionOf(files: ArchiveFiles): string {
  return String(JSON.parse(textOf(files.get('.manifest'))).revision);
}

function textOf(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString();
}

/** A signature of now that outlives the run. */
function times() {
  const nowS = Math.floor(Date.now() / 1000);
  return { issuedAtEpochS: nowS, notBeforeEpochS: nowS, expiresEpochS: nowS + 6 * 3600 };
}

async function postJson(url: string, value: object): Promise<void> {
  await demand(url, 'POST', { 'content-type': 'application/json' }, JSON.stringify(value));
}

async function demand(
  url: string,
  method: 'PUT' | 'POST',
  headers: Readonly<Record<string, string>>,
  body: Uint8Array | string,
): Promise<void> {
  const authorization = `Bearer ${BUNDLE_TOKEN}`;
  const sent = typeof body === 'string' ? body : Buffer.from(body);
  const response = await fetch(url, { method, headers: { authorization, ...headers }, body: sent });
  if (!response.ok) throw new Error(`${method} ${url} answered ${response.status}: ${await response.text()}`);
}
