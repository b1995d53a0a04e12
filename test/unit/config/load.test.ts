import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../../src/config/fault.ts';
import { parseConfig } from '../../../src/config/load.ts';

const folder = join(import.meta.dirname, 'fixtures');
const shipped = readFileSync(join(import.meta.dirname, '../../../bundles/authz.tar.gz.sha256'), 'utf8').slice(0, 64);
const PASSWORD = 'bJ4xQ7wPz2LmT9cV';
const root = join(import.meta.dirname, '../../..');

function faultsOf(file: string, text: string, environment: Record<string, string> = {}): readonly string[] {
  try {
    parseConfig(file, text, { SHIPPED: shipped, ...environment });
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

describe('a config is refused, with every fault, its key and its line', () => {
  test.each(readdirSync(folder))('%s', (name) => {
    const file = join(folder, name);
    const text = readFileSync(file, 'utf8');
    const wanted = text
      .split('\n')
      .flatMap((line) => (line.startsWith('# fault:') ? [line.slice('# fault:'.length).trim()] : []));
    const faults = faultsOf(file, text);
    for (const part of wanted) expect(faults.join('\n')).toContain(part);
    expect(faults).toHaveLength(wanted.length);
    for (const fault of faults) {
      expect(fault).toMatch(/\.yaml:\d+: /);
      // What the urls of the fixtures hold.
      expect(fault).not.toContain(PASSWORD);
    }
  });
});

describe('the shipped config', () => {
  const file = join(root, 'sallyport.yaml');
  const text = readFileSync(file, 'utf8');

  test('has no faults, and paths relative to itself', () => {
    expect(faultsOf(file, text)).toEqual([]);
    expect(parseConfig(file, text, {}).bundles['authz']).toMatchObject({ file: join(root, 'bundles/authz.tar.gz') });
  });

  test.each([
    ['KUBERNETES_SERVICE_HOST', '10.0.0.1'],
    ['NODE_ENV', 'production'],
  ])('is refused with its demo issuer where %s is %s', (name, value) => {
    expect(faultsOf(file, text, { [name]: value })).toEqual([
      expect.stringContaining('insecure.demo_issuer: the demo issuer must not be used with'),
    ]);
  });
});

test('an environment variable is taken, and only its value', () => {
  const text = readFileSync(join(root, 'sallyport.yaml'), 'utf8').replace(/^insecure:[\s\S]*$/m, '');
  const config = parseConfig(join(root, 'x.yaml'), `${text}\nlabels: { region: "\${REGION}", raw: "$\${REGION}" }\n`, {
    REGION: 'eu-1: {a: b}',
  });
  expect(config.labels).toEqual({ region: 'eu-1: {a: b}', raw: ['$', '{REGION}'].join('') });
});
