import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildCatalogBundle } from '../support/catalog-bundle.ts';
import { describeWith } from '../support/describe-with.ts';
import { type Envoy, startEnvoy } from '../support/envoy.ts';
import { type PathUpstreams, startPathUpstreams } from '../support/path-upstreams.ts';
import {
  OWN_RESOURCE,
  ordinaryTargets,
  PROTECTED_RESOURCES,
  pathVariants,
  randomPathVariant,
} from '../support/path-variants.ts';
import type { PolicyBundle } from '../support/policy-bundle.ts';
import { createRawClient, type RawAnswer, type RawClient, rawRequest } from '../support/raw-http.ts';
import { caseCount, createRandom, seedOf } from '../support/seed.ts';
import { type Service, startService, toServiceConfig } from '../support/service.ts';
import { createTestIssuer } from '../support/tokens.ts';

const BODY = '{"model":"llama-3-8b","messages":[]}';
const { targets: ORDINARY, models: MODELS } = ordinaryTargets();
/** Also in lower case, for the upstream that ignores case. */
const ALLOWED = new Set(
  MODELS.flatMap((model) => [`tenant-a/${model}/infer`, `tenant-a/${model.toLowerCase()}/infer`]).concat(
    'v1/chat/completions',
  ),
);

/** SECURITY row 6. What a target means is for the upstreams to say; each logs the file that it resolved. */
describeWith(['opa', 'envoy'], 'path tricks through a real Envoy', () => {
  let folder: string;
  let bundle: PolicyBundle;
  let upstreams: PathUpstreams;
  let service: Service;
  let envoy: Envoy;
  let token: string;
  const clients = new Map<string, RawClient>();
  const targetOf = new Map<string, string>();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-path-tricks-'));
    const issuer = await createTestIssuer();
    const jwksFile = join(folder, 'jwks.json');
    await issuer.writeJwks(jwksFile);
    bundle = await buildCatalogBundle((catalog) => {
      const grants = { infer: [{ tiers: ['free'] }], chat: [{ tiers: ['free'] }] };
      for (const model of MODELS) catalog.models[model] ??= { grants, upstreams: { 'tenant-a': 'upstream' } };
    });
    const resources = [...new Set([OWN_RESOURCE, ...PROTECTED_RESOURCES, ...ALLOWED])];
    upstreams = await startPathUpstreams(resources);
    service = await startService({ config: await toServiceConfig({ issuer, jwksFile, bundleFile: bundle.file }) });
    const listeners = Object.keys(upstreams.ports).flatMap((cluster) =>
      (['grpc', 'http'] as const).flatMap((door) =>
        [false, true].map((hardened) => {
          const at = { ports: [service.port(door === 'grpc' ? 'ext_authz_grpc' : 'ext_authz_http')] };
          const authz = { door, at, body: { maxBytes: 65_536 } };
          return [`${cluster}-${door}-${hardened ? 'hardened' : 'default'}`, { cluster, hardened, authz }] as const;
        }),
      ),
    );
    envoy = await startEnvoy({
      upstreams: Object.fromEntries(Object.entries(upstreams.ports).map(([name, port]) => [name, { ports: [port] }])),
      listeners: Object.fromEntries(listeners),
      logLevel: 'error',
    });
    for (const [name] of listeners) clients.set(name, createRawClient(envoy.port(name), 4));
    token = await issuer.mint({ tenant: 'tenant-a', tier: 'free' });
  });

  afterAll(async () => {
    for (const client of clients.values()) client.close();
    await envoy?.stop();
    await Promise.all([service?.stop(), upstreams?.stop()]);
    bundle?.remove();
    await rm(folder, { recursive: true, force: true });
  });

  const newId = (listener: string, target: string): string => {
    const id = `${listener}|${targetOf.size}`;
    targetOf.set(id, target);
    return id;
  };

  const ask = async (listener: string, target: string): Promise<RawAnswer> => {
    const id = newId(listener, target);
    const client = clients.get(listener);
    if (client === undefined) throw new Error(`no listener \`${listener}\``);
    return client.send(
      rawRequest(
        'POST',
        target,
        [
          ['host', 'gateway.test'],
          ['authorization', `Bearer ${token}`],
          ['content-type', 'application/json'],
          ['x-case', id],
        ],
        BODY,
      ),
    );
  };

  /** Every log so far: what was reached that the target does not name, or that is not the caller's. */
  const crossings = async (): Promise<readonly string[]> => {
    const found: string[] = [];
    for (const server of Object.keys(upstreams.ports)) {
      for (const { id, resource } of await upstreams.log(server)) {
        const target = targetOf.get(id) ?? '';
        if (resource === '' || isNamedBy(id, target, resource)) continue;
        found.push(`${id}: \`${target}\` reached \`${resource}\``);
      }
    }
    return found;
  };

  test('200 ordinary targets pass at every listener and reach what they name', async () => {
    const denied: string[] = [];
    await Promise.all(
      [...clients.keys()].map(async (listener) => {
        await Promise.all(
          ORDINARY.map(async (target) => {
            const { status, body } = await ask(listener, target);
            if (status !== 200) denied.push(`${listener}: \`${target}\` ${status} ${body}`);
          }),
        );
      }),
    );
    console.info(`ordinary targets: ${ORDINARY.length} at ${clients.size} listeners, ${denied.length} denied`);
    expect(ORDINARY.length).toBeGreaterThanOrEqual(200);
    expect(denied).toEqual([]);
    expect(await crossings()).toEqual([]);
  });

  test('no variant reaches a protected resource, whatever the upstream, the door and the normalisation', async () => {
    const variants = pathVariants();
    const statuses = new Map<number, number>();
    await Promise.all(
      [...clients.keys()].map(async (listener) => {
        await Promise.all(
          variants.map(async (target) => {
            const { status } = await ask(listener, target);
            statuses.set(status, (statuses.get(status) ?? 0) + 1);
          }),
        );
      }),
    );
    const found = await crossings();
    console.info(
      `path tricks: ${variants.length} variants at ${clients.size} listeners, ${found.length} protected resources ` +
        `reached; answers: ${[...statuses].map(([status, count]) => `${status}: ${count}`).join(', ')}`,
    );
    expect(variants.length).toBeGreaterThanOrEqual(400);
    expect(found).toEqual([]);
    // What is let through, in whatever spelling, is the caller's own resource.
    expect(statuses.get(200)).toBeGreaterThan(0);
  });

  test('none does over HTTP/2, where a path may hold what a request line cannot', async () => {
    const variants = pathVariants();
    const listeners = [...clients.keys()];
    const statuses = new Map<number, number>();
    let at = 0;
    const worker = async (): Promise<void> => {
      for (let target = variants[at]; target !== undefined; target = variants[at]) {
        const listener = listeners[at % listeners.length] ?? '';
        at += 1;
        const id = newId(listener, target);
        const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'x-case': id };
        const status = await askHttp2(envoy.port(listener), target, headers);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: 32 }, worker));
    const found = await crossings();
    const answers = [...statuses].map(([status, count]) => `${status}: ${count}`).join(', ');
    console.info(`path tricks over HTTP/2: ${variants.length} variants, ${found.length} reached; answers: ${answers}`);
    expect(found).toEqual([]);
    expect(statuses.get(200)).toBeGreaterThan(0);
  });

  test('no random mixture of tricks reaches one', async () => {
    const random = createRandom(seedOf('path-tricks'));
    const count = caseCount(5_000);
    const listeners = [...clients.keys()];
    let at = 0;
    const worker = async (): Promise<void> => {
      while (at < count) {
        at += 1;
        await ask(listeners[at % listeners.length] ?? '', randomPathVariant(random));
      }
    };
    await Promise.all(Array.from({ length: 48 }, worker));
    const found = await crossings();
    console.info(`random path tricks: ${count}, ${found.length} protected resources reached`);
    expect(found).toEqual([]);
  });

  test('the upstreams do resolve tricks to protected resources when nobody guards them', async () => {
    const reached = new Set<string>();
    for (const [server, port] of Object.entries(upstreams.ports)) {
      const before = (await upstreams.log(server)).length;
      const client = createRawClient(port, 4);
      await Promise.all(
        pathVariants().map((target) =>
          client.send(
            rawRequest('POST', target, [
              ['host', 'gateway.test'],
              ['x-case', 'unguarded'],
            ]),
          ),
        ),
      );
      client.close();
      const log = (await upstreams.log(server)).slice(before);
      const hits = log.filter(({ resource }) => resource !== '' && !ALLOWED.has(resource));
      console.info(`${server}, unguarded: ${hits.length} of ${pathVariants().length} reach a protected resource`);
      if (hits.length > 0) reached.add(server);
    }
    expect([...reached]).toEqual(Object.keys(upstreams.ports));
  });
});

/**
 * Whether an allowed resource is the one that the target names by itself. Where Envoy normalises, before it asks and
 * before it sends, what it made of the target is named by the caller too.
 */
function isNamedBy(id: string, target: string, resource: string): boolean {
  if (!ALLOWED.has(resource)) return false;
  if (id.includes('hardened')) return resource === OWN_RESOURCE || isOrdinary(target);
  const path =
    target
      .trim()
      .replace(/^https?:\/\/[^/]*/i, '')
      .split(/[?#]/)[0] ?? '';
  const named = decodeURIComponent(path).slice(1);
  return named === resource || named.toLowerCase() === resource;
}

function isOrdinary(target: string): boolean {
  return ORDINARY.includes(target);
}

/** The answer's status over a connection of its own, since Envoy ends one for a bad path; 0 when there is none. */
function askHttp2(port: number, path: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve) => {
    const session = connect(`http://127.0.0.1:${port}`);
    const finish = (status: number): void => {
      session.destroy();
      resolve(status);
    };
    session.on('error', () => finish(0));
    session.on('close', () => finish(0));
    try {
      const stream = session.request({ ':method': 'POST', ':path': path, ':authority': 'gateway.test', ...headers });
      let status = 0;
      stream.on('response', (answer) => {
        status = Number(answer[':status']);
      });
      stream.on('error', () => finish(status));
      stream.on('close', () => finish(status));
      stream.resume();
      stream.end(BODY);
    } catch {
      finish(0);
    }
  });
}
