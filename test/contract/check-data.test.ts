import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readCatalog } from '../../src/cli/check-data/catalog.ts';
import { checkData } from '../../src/cli/check-data.ts';
import { UsageError } from '../../src/cli/command.ts';
import { ROOT } from '../support/tools.ts';
import { repacked } from '../unit/bundle/shipped.ts';

const scratch = mkdtempSync(join(tmpdir(), 'sallyport-check-data-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface Report {
  readonly faults: readonly { readonly path: string; readonly message: string }[];
  readonly warnings: readonly { readonly path: string; readonly warning: string; readonly message: string }[];
  readonly combinations: number;
  readonly allowed: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly findings: readonly Readonly<Record<string, unknown>>[];
}

async function run(...argv: string[]): Promise<{ code: number; out: string }> {
  let out = '';
  const stdout = (text: string): void => {
    out += text;
  };
  const code = await checkData(argv, { stdout, stderr: () => {}, cwd: ROOT, env: {} });
  return { code, out };
}

/** What the shipped policy is found to do with other data. */
async function check(catalog: unknown, ...argv: string[]): Promise<{ code: number; report: Report }> {
  const file = join(scratch, 'changed.tar.gz');
  writeFileSync(file, repacked({ 'data.json': JSON.stringify({ catalog }) }));
  const { code, out } = await run(file, '--json', ...argv);
  // What `--json` prints is this shape.
  return { code, report: JSON.parse(out) as Report };
}

const INFER = {
  name: 'infer',
  path: '/{tenant}/{model}/{operation}',
  methods: ['POST'],
  operations: { infer: ['POST'] },
  body: 'json',
  schema: 'any-object',
};
const CATALOG = {
  schemas: { 'any-object': { type: 'object' } },
  routes: [{ ...INFER, max_bytes: 1000, limits: ['calls'] }],
  limits: {
    calls: {
      key: ['tenant'],
      unit: 'requests',
      kind: 'rate',
      size: 5,
      per_seconds: 1,
      cost: 'request',
      scope: 'tenant',
    },
  },
  tiers: { free: { max_bytes: 100 }, gold: { unbounded: true } },
  models: {
    bird: {
      grants: { infer: [{ tiers: ['free', 'gold'] }] },
      upstreams: { blue: 'blue-bird', green: 'green-bird' },
    },
    fish: {
      grants: { infer: [{ tiers: ['gold'], roles: ['diver'] }] },
      upstreams: { blue: 'blue-fish' },
    },
  },
  tenants: { blue: { tiers: ['free', 'gold'] }, green: { tiers: ['free'] } },
};

describe('sallyport check-data', () => {
  it('finds nothing where everything that passes is charged and bounded', async () => {
    const { code, report } = await check(CATALOG, '--strict');
    expect(report).toMatchObject({ faults: [], findings: [], warnings: [] });
    // Models × (anonymous + tenants × tiers × (no role, all roles)); bird: free at both, gold at blue; fish: gold diver.
    expect(report.combinations).toBe(2 * (1 + 2 * 2 * 2));
    expect(report.allowed).toBe(2 * (2 + 1) + 1);
    expect(code).toBe(0);
  });

  it('names what passes uncharged', async () => {
    const { report } = await check({ ...CATALOG, routes: [{ ...INFER, max_bytes: 1000 }] });
    expect(report.counts).toEqual({ uncharged: 7, unbounded: 0, never_passes: 0 });
    expect(report.findings).toContainEqual({
      tenant: 'blue',
      tier: 'gold',
      roles: ['diver'],
      route: 'infer',
      method: 'POST',
      model: 'fish',
      operation: 'infer',
      findings: ['uncharged'],
    });
  });

  it('counts a shadow charge as none', async () => {
    const limits = { calls: { ...CATALOG.limits.calls, mode: 'shadow' } };
    const { report } = await check({ ...CATALOG, limits });
    expect(report.counts['uncharged']).toBe(7);
  });

  it('names what passes unbounded: a tier without bound on a route without bound', async () => {
    const { report } = await check({ ...CATALOG, routes: [{ ...INFER, limits: ['calls'] }] });
    expect(report.counts).toEqual({ uncharged: 0, unbounded: 3, never_passes: 0 });
    expect(new Set(report.findings.map(({ tier }) => tier))).toEqual(new Set(['gold']));
  });

  it.each([
    ['malformed', { calls: { ...CATALOG.limits.calls, size: 0 } }],
    ['not verified for the caller', { calls: { ...CATALOG.limits.calls, key: ['key_id'] } }],
    ['without terms', {}],
  ])('names what can never pass because its charge is %s', async (_fault, limits) => {
    const { report } = await check({ ...CATALOG, limits });
    expect(report).toMatchObject({ allowed: 0, counts: { uncharged: 0, unbounded: 0, never_passes: 7 } });
  });

  it('names a preflight that anybody may send unbounded', async () => {
    const preflight = { name: 'p', path: '/p', methods: ['OPTIONS'], kind: 'preflight', body: 'none' };
    const { report } = await check({ ...CATALOG, routes: [preflight] });
    expect(report.findings).toContainEqual({
      tenant: null,
      tier: null,
      roles: [],
      route: 'p',
      method: 'OPTIONS',
      model: null,
      operation: 'preflight',
      findings: ['uncharged', 'unbounded'],
    });
  });

  it('exits 1 for a finding only where it is told to be strict, and for faults always', async () => {
    const uncharged = { ...CATALOG, routes: [INFER] };
    expect((await check(uncharged)).code).toBe(0);
    expect((await check(uncharged, '--strict')).code).toBe(1);
    expect((await check({ ...CATALOG, tier: {} })).code).toBe(1);
  });

  it('warns of routes without bound, schema or limit and of open CORS, which is enough for `--strict`', async () => {
    const { methods, name, path, operations } = INFER;
    const portal = { origins: ['*'], credentials: true };
    const file = join(scratch, 'warned.tar.gz');
    const catalog = { ...CATALOG, routes: [{ name, path, methods, operations }] };
    // Under a root of the bundle's own.
    writeFileSync(file, repacked({ 'data.json': JSON.stringify({ catalog, tenancy: { portal } }) }));
    const { code, out } = await run(file);
    expect(code).toBe(0);
    expect(out.split('\n').filter((line) => line.startsWith('warning: '))).toEqual([
      'warning: `catalog.routes.infer` has no size limit: give it `max_bytes`',
      'warning: `catalog.routes.infer` has no `schema` for its bodies, and `body: none` means that none could be applied: set `body: json`',
      'warning: `catalog.routes.infer` requires no limit: name those that must hold in `limits`',
      'warning: `tenancy.portal` lets pages of any origin use the credentials of their visitors: name the origins',
    ]);
    expect((await run(file, '--strict')).code).toBe(1);
    expect(JSON.parse((await run(file, '--json')).out)).toMatchObject({ warnings: { length: 4 } });
  });

  it('exits 1 for a warning alone only where it is told to be strict', async () => {
    const changed = { ...CATALOG, routes: [{ ...CATALOG.routes[0], schema: undefined }] };
    const { code, report } = await check(changed);
    expect({ code, faults: report.faults, findings: report.findings }).toEqual({ code: 0, faults: [], findings: [] });
    expect(report.warnings).toMatchObject([{ path: 'catalog.routes.infer', warning: 'no_schema' }]);
    expect((await check(changed, '--strict')).code).toBe(1);
  });

  it('goes through the shipped bundle, by config and by file', async () => {
    const byConfig = await run('--json');
    expect(byConfig.code).toBe(0);
    expect(JSON.parse(byConfig.out)).toMatchObject({ faults: [], counts: { unbounded: 13, never_passes: 0 } });
    expect(await run('bundles/authz.tar.gz', '--json')).toEqual(byConfig);
    const { out } = await run();
    expect(out).toContain('TENANT');
    expect(out).toMatch(
      /combinations, \d+ allowed; \d+ uncharged, 13 unbounded, 0 that never pass; 0 faults in the data, \d+ warnings\n$/,
    );
  });

  it('refuses what it cannot look through', async () => {
    await expect(run('a', 'b')).rejects.toThrow(UsageError);
    await expect(run('gone.tar.gz')).rejects.toMatchObject({ code: 'bundle_missing' });
    await expect(run('package.json')).rejects.toMatchObject({ code: 'bundle_invalid' });
    expect((await run('--help')).out).toContain('sallyport check-data [BUNDLE]');
  });
});

describe('the data of a catalog', () => {
  const { tiers, models, tenants } = CATALOG;
  const withModel = (bird: object) => ({ ...CATALOG, models: { ...models, bird: { ...models.bird, ...bird } } });

  it('of the right form has no faults', () => {
    expect(readCatalog(CATALOG).faults).toEqual([]);
  });

  it.each<[string, unknown, string]>([
    ['is no object', [], 'catalog'],
    ['has an unknown section', { ...CATALOG, quotas: {} }, 'catalog.quotas'],
    ['lacks a section', { ...CATALOG, tiers: undefined }, 'catalog.tiers'],
    ['has twin tenants', { ...CATALOG, tenants: { ...tenants, Blue: tenants.blue } }, 'catalog.tenants.Blue'],
    ['has a route of an unknown key', { ...CATALOG, routes: [{ ...INFER, limit: [] }] }, 'catalog.routes[0].limit'],
    ['has a route with a limit without terms', { ...CATALOG, limits: {} }, 'catalog.routes.infer.limits'],
    [
      'has a tier of an unknown key',
      { ...CATALOG, tiers: { ...tiers, free: { max_byte: 1, max_bytes: 1 } } },
      'catalog.tiers.free.max_byte',
    ],
    ['has a tier that says nothing', { ...CATALOG, tiers: { ...tiers, free: {} } }, 'catalog.tiers.free'],
    [
      'has a tier that says both',
      { ...CATALOG, tiers: { ...tiers, free: { max_bytes: 1, unbounded: true } } },
      'catalog.tiers.free',
    ],
    [
      'has a tier with a limit that is a text',
      { ...CATALOG, tiers: { ...tiers, free: { max_bytes: '1' } } },
      'catalog.tiers.free.max_bytes',
    ],
    [
      'has a tenant of an unknown tier',
      { ...CATALOG, tenants: { ...tenants, blue: { tiers: ['Gold'] } } },
      'catalog.tenants.blue.tiers[0]',
    ],
    [
      'has a tenant open to an unknown tier',
      { ...CATALOG, tenants: { ...tenants, blue: { tiers: [], open_to_tiers: ['x'] } } },
      'catalog.tenants.blue.open_to_tiers[0]',
    ],
    [
      'has a tenant with a tier twice',
      { ...CATALOG, tenants: { ...tenants, blue: { tiers: ['free', 'free'] } } },
      'catalog.tenants.blue.tiers[1]',
    ],
    ['has a model without grants', withModel({ grants: undefined }), 'catalog.models.bird.grants'],
    ['has a grant of an unknown operation', withModel({ grants: { train: [] } }), 'catalog.models.bird.grants.train'],
    [
      'has a grant of an unknown tier',
      withModel({ grants: { infer: [{ tiers: ['x'] }] } }),
      'catalog.models.bird.grants.infer[0].tiers[0]',
    ],
    [
      'has a grant of an unknown tenant',
      withModel({ grants: { infer: [{ tiers: [], tenants: ['x'] }] } }),
      'catalog.models.bird.grants.infer[0].tenants[0]',
    ],
    [
      'has a grant of an unknown key',
      withModel({ grants: { infer: [{ tiers: [], role: 'x' }] } }),
      'catalog.models.bird.grants.infer[0].role',
    ],
    [
      'has an upstream of an unknown tenant',
      withModel({ upstreams: { red: 'x' } }),
      'catalog.models.bird.upstreams[0]',
    ],
    ['has an upstream without a name', withModel({ upstreams: { blue: '' } }), 'catalog.models.bird.upstreams.blue'],
  ])('that %s has the fault at its place', (_fault, catalog, path) => {
    expect(readCatalog(catalog).faults.map((fault) => fault.path)).toContain(path);
  });
});
