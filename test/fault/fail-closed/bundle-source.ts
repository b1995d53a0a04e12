import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { parseConfig } from '../../../src/config/load.ts';
import { openDecider } from '../../../src/service.ts';
import { eventually } from '../../support/programs.ts';
import { toServiceConfig } from '../../support/service.ts';
import { createTestIssuer } from '../../support/tokens.ts';
import { pinOf, revised, SHIPPED } from '../../unit/bundle/shipped.ts';
import { type FileServer, type Misbehaviour, PATIENCE_MS, startFileServer } from './hostile-server.ts';
import type { Trials } from './matrix.ts';
import { openWorld } from './world.ts';

/** The answers to a granted call of a service whose bundle comes from a server that was prepared so. */
async function trial(prepare: (server: FileServer) => unknown, until: 'given up' | 'in force'): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-fail-closed-'));
  const jwksFile = join(folder, 'jwks.json');
  const issuer = await createTestIssuer();
  await issuer.writeJwks(jwksFile);
  const server = await startFileServer(SHIPPED);
  await prepare(server);
  const polling = { min_delay_seconds: 1, max_delay_seconds: 1, timeout_ms: PATIENCE_MS, max_bytes: 2 ** 20 };
  const config = {
    ...(await toServiceConfig({ issuer, jwksFile })),
    bundles: { authz: { url: server.url, polling, trust: pinOf(SHIPPED) } },
  };
  const decider = await openDecider(parseConfig(join(folder, 'sallyport.yaml'), stringify(config), {}));
  const world = await openWorld(decider.authorize);
  const token = await issuer.mint({ tenant: 'tenant-a', tier: 'premium', roles: ['analyst'] });
  try {
    const first = await world.ask(token);
    if (until === 'in force') {
      return await eventually(async () => ((await world.ask(token)) === 'allow' ? 'allow' : undefined), 10_000);
    }
    await new Promise((resolve) => setTimeout(resolve, PATIENCE_MS + 100));
    return [...new Set([first, await world.ask(token)])].join(', then ');
  } finally {
    await world.stop();
    await decider.close();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

const misbehaving = (how: Misbehaviour) => () => trial((server) => server.misbehave(how), 'given up');

export const bundleTrials: Trials = {
  healthy: () => trial(() => undefined, 'in force'),
  faults: {
    down: () => trial((server) => server.stop(), 'given up'),
    slow: misbehaving('slow'),
    hang: misbehaving('hang'),
    garbage: misbehaving('garbage'),
    partial: misbehaving('partial'),
    reset: misbehaving('reset'),
    full: misbehaving('full'),
    'wrong version': () => trial((server) => server.serve(revised('another')), 'given up'),
    stalled: misbehaving('stalled'),
  },
};
