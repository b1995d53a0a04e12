import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { exitCodeOf } from '../../../src/main.ts';
import { runCaptured } from '../../support/captured-io.ts';
import { ROOT } from '../../support/tools.ts';
import { pinOf, revised } from '../bundle/shipped.ts';

/** SECURITY row 33, through the commands that an operator types: the demo issuer cannot be deployed. */
const folder = mkdtempSync(join(tmpdir(), 'sallyport-demo-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SHIPPED = join(ROOT, 'bundles/authz.tar.gz');
const shippedPin = { sha256: createHash('sha256').update(readFileSync(SHIPPED)).digest('hex') };
const otherBundle = revised('another');
writeFileSync(join(folder, 'other.tar.gz'), otherBundle);
writeFileSync(join(folder, 'keys.json'), JSON.stringify({ keys: [] }));

const issuer = {
  issuer: 'https://issuer.test',
  audiences: ['sallyport'],
  algorithms: ['ES256'],
  jwks: { url: 'https://issuer.test/keys' },
};

/** The shipped default with other ports, and whatever the case puts in place of whole sections. */
function demoConfig(sections: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return {
    doors: { ext_authz_grpc: { listen: '127.0.0.1:0', trusted_loopback: true } },
    operations: { listen: '127.0.0.1:0' },
    bundles: { authz: { file: SHIPPED, trust: shippedPin } },
    insecure: { demo_issuer: true },
    ...sections,
  };
}

interface Forbidden {
  readonly what: string;
  readonly sections?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  /** What the fault must say; settings that are not there yet are refused as unknown keys. */
  readonly says?: string;
}

const MUST_NOT = 'insecure.demo_issuer: the demo issuer must not be used with';
const FORBIDDEN: readonly Forbidden[] = [
  { what: 'another issuer', sections: { identity: { jwt: { issuers: [issuer] } } } },
  {
    what: 'an issuer of its own name',
    sections: { identity: { jwt: { issuers: [{ ...issuer, issuer: 'urn:sallyport:demo' }] } } },
  },
  { what: 'API keys', sections: { identity: { api_keys: { file: 'keys.json' } } }, says: 'identity.api_keys' },
  { what: 'mTLS identities', sections: { identity: { mtls: { trust_domains: ['td'] } } }, says: 'identity.mtls' },
  {
    what: 'a bundle of its own',
    sections: { bundles: { authz: { file: 'other.tar.gz', trust: pinOf(otherBundle) } } },
  },
  {
    what: 'a second bundle beside the shipped one',
    sections: {
      bundles: {
        authz: { file: SHIPPED, trust: shippedPin },
        more: { file: 'other.tar.gz', trust: pinOf(otherBundle) },
      },
    },
  },
  {
    what: 'a bundle url',
    sections: { bundles: { authz: { url: 'https://bundles.test/a', trust: pinOf(otherBundle) } } },
  },
  ...['0.0.0.0:9191', '[::]:9191', '10.0.0.1:9191'].map((listen) => ({
    what: `the gRPC door at ${listen}`,
    sections: {
      doors: { ext_authz_grpc: { listen } },
      insecure: { demo_issuer: true, unauthenticated_door: true },
    },
  })),
  {
    what: 'the HTTP door off loopback',
    sections: {
      doors: { ext_authz_http: { listen: '0.0.0.0:8181' } },
      insecure: { demo_issuer: true, unauthenticated_door: true },
    },
  },
  { what: 'the operations port off loopback', sections: { operations: { listen: '0.0.0.0:8282' } } },
  { what: 'a Redis store', sections: { quota: { store: { kind: 'redis', url: 'redis://127.0.0.1:6379' } } } },
  { what: 'more than one worker', sections: { workers: 2 }, says: 'workers' },
  { what: 'Kubernetes', env: { KUBERNETES_SERVICE_HOST: '10.0.0.1' } },
  { what: 'Kubernetes without an address', env: { KUBERNETES_SERVICE_HOST: '' } },
  { what: 'NODE_ENV=production', env: { NODE_ENV: 'production' } },
  { what: 'NODE_ENV=Production', env: { NODE_ENV: 'Production' } },
];

describe('insecure.demo_issuer is refused by serve and check-config alike', () => {
  test('alone on loopback it has no fault, so that each case below is its own', async () => {
    expect((await told('check-config', { what: 'nothing' })).code).toBe(0);
  });

  test.each(FORBIDDEN)('with $what', async (forbidden) => {
    for (const command of ['check-config', 'serve'] as const) {
      const { code, stdout, stderr } = await told(command, forbidden);
      expect({ code, stdout }, command).toEqual({ code: 3, stdout: '' });
      expect(stderr, command).toContain(forbidden.says ?? MUST_NOT);
    }
  });

  test('with two of them at once, both are told', async () => {
    const { code, stderr } = await told('serve', {
      what: 'two',
      sections: { identity: { jwt: { issuers: [issuer] } }, operations: { listen: '0.0.0.0:8282' } },
      env: { NODE_ENV: 'production' },
    });
    expect(code).toBe(3);
    expect(stderr.split(MUST_NOT)).toHaveLength(4);
  });
});

describe('the shipped config', () => {
  test.each([{ KUBERNETES_SERVICE_HOST: '10.0.0.1' }, { NODE_ENV: 'production' }])(
    'does not start with %o',
    async (env) => {
      const { code, stderr } = await runCaptured(exitCodeOf, ['serve', '--config', 'sallyport.yaml'], { env });
      expect(code).toBe(3);
      expect(stderr).toMatch(/sallyport\.yaml:\d+: insecure\.demo_issuer: /);
    },
  );
});

function told(command: 'check-config' | 'serve', { what, sections = {}, env = {} }: Forbidden) {
  const file = join(folder, `${what.replaceAll(/[^A-Za-z0-9]+/g, '-')}.yaml`);
  writeFileSync(file, stringify(demoConfig(sections)));
  const argv = command === 'serve' ? ['serve', '--config', file] : ['check-config', file];
  return runCaptured(exitCodeOf, argv, { cwd: folder, env });
}
