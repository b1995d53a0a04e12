import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { parseConfig } from '../../src/config/load.ts';
import type { Authorize } from '../../src/decision/ports.ts';
import { openDecider } from '../../src/service.ts';
import { toServiceConfig } from './service.ts';
import { createTestIssuer, type TestIssuer } from './tokens.ts';

/** The real service without its doors: the shipped bundle, one issuer whose keys lie in a file. */
export interface TestDecider {
  readonly authorize: Authorize;
  readonly issuer: TestIssuer;
  close(): Promise<void>;
}

export interface TestDeciderOptions {
  readonly bundleFile?: string;
  readonly decisions?: Readonly<Record<string, unknown>>;
  /** Replaces whole sections of the config. */
  readonly sections?: Readonly<Record<string, unknown>>;
}

export async function openTestDecider({ sections = {}, ...options }: TestDeciderOptions = {}): Promise<TestDecider> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-decider-'));
  const issuer = await createTestIssuer();
  const jwksFile = join(folder, 'jwks.json');
  await issuer.writeJwks(jwksFile);
  const config = { ...(await toServiceConfig({ issuer, jwksFile, ...options })), ...sections };
  const { authorize, close } = await openDecider(parseConfig(join(folder, 'sallyport.yaml'), stringify(config), {}));
  return {
    authorize,
    issuer,
    close: async () => {
      await close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
