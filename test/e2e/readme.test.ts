import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { configSchema } from '../../src/config/config.ts';
import { parseConfig } from '../../src/config/load.ts';
import { describeWith } from '../support/describe-with.ts';
import { startProgram } from '../support/programs.ts';
import { toServiceConfig } from '../support/service.ts';
import { ROOT, requireTool } from '../support/tools.ts';

/** What README.md tells its readers to type or to copy is typed and copied here. */
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const blocks = (language: string): readonly string[] =>
  [...README.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].flatMap(([, name, text = '']) =>
    name === language ? [text] : [],
  );
const shellLines = blocks('sh').flatMap((block) => block.trimEnd().split('\n'));
const npx = shellLines.filter((line) => line.startsWith('npx '));

describe('the shell lines of the README', () => {
  test('are npm scripts that exist, or sallyport', () => {
    // package.json is npm's.
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object };
    const known = new Set([...Object.keys(scripts), 'ci']);
    for (const line of shellLines.filter((shell) => !shell.startsWith('npx '))) {
      const words = [...line.matchAll(/\bnpm (?:run )?([\w:-]+)/g)].map(([, script = '']) => script);
      expect(words.length, line).toBeGreaterThan(0);
      for (const script of words) expect(known, line).toContain(script);
    }
    for (const [, script = ''] of README.matchAll(/`npm run ([\w:-]+)`/g)) expect(known).toContain(script);
    expect(npx.length).toBeGreaterThanOrEqual(4);
  });
});

describeWith(['opa'], 'each `npx sallyport` line of the README, typed in a copy of the project', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-readme-'));
  const bin = join(folder, '.bin');
  beforeAll(() => {
    for (const name of ['policies', 'bundles', 'sallyport.yaml'])
      cpSync(join(ROOT, name), join(folder, name), { recursive: true });
    // FOLDER stands for the reader's own policies.
    cpSync(join(ROOT, 'test/contract/fixtures/legacy/v1-office-hours'), join(folder, 'FOLDER'), { recursive: true });
    mkdirSync(bin);
    // In a checkout `npx sallyport` is `bin/sallyport.js` of package.json.
    writeFileSync(
      join(bin, 'npx'),
      `#!/bin/sh\nshift\nexec "${process.execPath}" "${join(ROOT, 'bin/sallyport.js')}" "$@"\n`,
    );
    chmodSync(join(bin, 'npx'), 0o755);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(npx)('%s', async (line) => {
    const path = [bin, join(requireTool('opa'), '..'), process.env['PATH'] ?? ''].join(delimiter);
    const program = startProgram('sh', ['-c', line], { cwd: folder, env: { PATH: path, NODE_ENV: undefined } });
    expect(await program.ended, program.output()).toBe(0);
    const output = program.output();
    if (line.includes(' eval ')) expect(output).toMatch(/^decision {3}deny 403 forbidden \(policy_denied\)$/m);
    if (line.includes(' build ')) expect(output).toMatch(/^ {2}revision .*\n {2}entrypoints .*\n {2}sha256 /m);
    if (line.includes(' check-data ')) expect(output).toMatch(/^revision \S+: \d+ combinations/m);
    const [, out] = / --out (\S+)/.exec(line) ?? [];
    if (out !== undefined) expect(existsSync(join(folder, out))).toBe(true);
    expect(output).not.toMatch(/Error|^ {4}at /m);
  });

  test('and what was built from the shipped policies is the shipped bundle', () => {
    const built = readFileSync(join(folder, 'bundles/authz.tar.gz.sha256'), 'utf8');
    expect(built).toBe(readFileSync(join(ROOT, 'bundles/authz.tar.gz.sha256'), 'utf8'));
  });
});

describe('the YAML of the README', () => {
  const [filters, ...more] = blocks('yaml').map((block): unknown => parse(block));

  describeWith(['envoy'], 'for Envoy', () => {
    test('is taken by a real Envoy as it stands, in the sample bootstrap', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'sallyport-readme-envoy-'));
      try {
        const file = join(folder, 'envoy.yaml');
        writeFileSync(file, stringify(withFilters(filters)));
        const args = ['--mode', 'validate', '--config-path', file, '--disable-hot-restart'];
        const program = startProgram(requireTool('envoy'), args);
        expect(await program.ended, program.output()).toBe(0);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  });

  test('fails closed and passes whole bodies', () => {
    expect(authzOf(filters)).toMatchObject({
      failure_mode_allow: false,
      clear_route_cache: true,
      with_request_body: { allow_partial_message: false, pack_as_bytes: true },
    });
  });

  test('for sallyport.yaml has no fault, in a config that has the rest', async () => {
    expect(more.length).toBeGreaterThan(0);
    for (const snippet of more) {
      expect(isRecord(snippet)).toBe(true);
      const config = { ...(await toServiceConfig()), ...(isRecord(snippet) ? snippet : {}) };
      expect(() => parseConfig(join(ROOT, 'readme.yaml'), stringify(config), {})).not.toThrow();
    }
  });
});

describe('the config table of the README', () => {
  const rows = [...README.matchAll(/^\| (`[^|]*`[^|]*) \| ([^|]*) \| (?:[^|]|\\\|)* \|$/gm)].map(
    ([, keys = '', value = '']) => ({
      keys: [...keys.matchAll(/`([^`]+)`/g)].map(([, key = '']) => key),
      value: /^`([^`]+)`$/.exec(value.trim())?.[1],
    }),
  );
  const config = rows.filter(({ keys }) => !keys[0]?.startsWith('npm '));

  test('is there', () => expect(config.length).toBeGreaterThan(15));

  test.each(config)('$keys are keys that the schema has, with that default', ({ keys, value }) => {
    for (const [index, key] of keys.entries()) {
      // `bundles.NAME.file` or `.url`.
      const path = key.startsWith('.') ? (keys[index - 1] ?? '').replace(/\.\w+$/, key) : key;
      const found = schemasOf(path);
      expect(found.length, path).toBeGreaterThan(0);
      if (value === undefined || !/^(?:true|false|\d+)$/.test(value)) continue;
      for (const schema of found) expect(schema['default'], path).toBe(JSON.parse(value));
    }
  });

  test('names every section of a config', () => {
    const named = new Set(config.flatMap(({ keys }) => keys.map((key) => key.split('.')[0])));
    const sections = Object.keys(configSchema.properties).filter((name) => !UNTOLD.has(name));
    expect(sections.filter((name) => !named.has(name))).toEqual([]);
  });
});

/** Sections that a newcomer does not need; `check-config` names their keys. */
const UNTOLD = new Set(['quota', 'log', 'labels']);

type Schema = Readonly<Record<string, unknown>>;

/** The schemas at a path of the table: `*` stands for every key, `NAME` for any name, `[]` for every item. */
function schemasOf(path: string): readonly Schema[] {
  const steps = path.replaceAll('[]', '.[]').split('.');
  let found: readonly Schema[] = [configSchema];
  for (const step of steps) found = found.flatMap((schema) => below(schema, step));
  return found;
}

function below(schema: Schema, step: string): readonly Schema[] {
  const properties = isRecord(schema['properties']) ? schema['properties'] : {};
  if (step === '*') return Object.values(properties).filter(isRecord);
  const key = step === '[]' ? 'items' : 'additionalProperties';
  const next = step === '[]' || step === 'NAME' ? schema[key] : properties[step];
  return isRecord(next) ? [next] : [];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The gRPC sample, its ext_authz filter replaced by the one of the README. */
function withFilters(filters: unknown): unknown {
  const bootstrap: unknown = parse(readFileSync(join(ROOT, 'deploy/envoy/sidecar-grpc.yaml'), 'utf8'));
  const replace = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(replace);
    if (!isRecord(value)) return value;
    return value['name'] === 'envoy.filters.http.ext_authz' ? authzFilterOf(filters) : mapped(value, replace);
  };
  return replace(bootstrap);
}

function mapped(value: Record<string, unknown>, change: (value: unknown) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, change(member)]));
}

function authzFilterOf(filters: unknown): unknown {
  const list: unknown = isRecord(filters) ? filters['http_filters'] : undefined;
  if (!Array.isArray(list) || list.length !== 1) throw new Error('the first YAML of the README is no filter list');
  return list[0];
}

function authzOf(filters: unknown): unknown {
  const filter = authzFilterOf(filters);
  return isRecord(filter) ? filter['typed_config'] : undefined;
}
