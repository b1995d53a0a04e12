import { describe, expect, it } from 'vitest';
import { readCatalog } from '../../src/cli/check-data/catalog.ts';

const CATALOG = {
  routes: [],
  limits: {},
  tiers: { free: { max_bytes: 1 } },
  tenants: { blue: { tiers: ['free'] }, green: { tiers: ['free'] } },
  models: { bird: { grants: {}, upstreams: { blue: 'blue-bird' } } },
};

function faultsOf(roleUpstreams: unknown, hosts: unknown = {}): readonly string[] {
  const bird = { ...CATALOG.models.bird, role_upstreams: roleUpstreams };
  return readCatalog({ ...CATALOG, models: { bird }, hosts }).faults.map(({ path, message }) => `${path} ${message}`);
}

const PLACE = 'catalog.models.bird.role_upstreams';

describe('the endpoints of roles', () => {
  it('may be named for a tenant that has the model', () => {
    const roleUpstreams = { blue: [{ role: 'batch', upstream: 'blue-batch' }] };
    expect(faultsOf(roleUpstreams)).toEqual([]);
    const bird = { ...CATALOG.models.bird, role_upstreams: roleUpstreams };
    expect(readCatalog({ ...CATALOG, models: { bird } }).catalog.roles).toEqual(['batch']);
  });

  it.each([
    [[], `${PLACE} is not an object`],
    [{ green: [{ role: 'batch', upstream: 'x' }] }, `${PLACE}.green is a tenant without an upstream of its own`],
    [{ blue: { batch: 'blue-batch' } }, `${PLACE}.blue is not a list`],
    [{ blue: [{ role: 'batch' }] }, `${PLACE}.blue[0] does not name a \`role\` and its \`upstream\``],
    [{ blue: [{ role: '', upstream: 'x' }] }, `${PLACE}.blue[0] does not name a \`role\` and its \`upstream\``],
    [{ blue: ['batch'] }, `${PLACE}.blue[0] does not name a \`role\` and its \`upstream\``],
    [{ blue: [{ role: 'a', upstream: 'x', tier: 'free' }] }, `${PLACE}.blue[0].tier is not a key of catalog.models`],
  ])('%j is a fault', (roleUpstreams, fault) => expect(faultsOf(roleUpstreams)).toEqual([fault]));
});

describe('the hosts of tenants', () => {
  it.each([{ 'blue.test': 'blue' }, { localhost: 'green' }, { '[2001:db8::1]': 'blue' }])('%j is right', (hosts) =>
    expect(faultsOf({}, hosts)).toEqual([]),
  );

  it.each([
    [[], 'catalog.hosts is not an object'],
    [{ 'blue.test': 'red' }, 'catalog.hosts.blue.test names the unknown tenant `red`'],
    [{ 'blue.test': null }, 'catalog.hosts.blue.test names the unknown tenant `null`'],
    [{ 'Blue.test': 'blue' }, 'catalog.hosts.Blue.test is not a host in lower case, without port'],
    [{ 'blue.test:443': 'blue' }, 'catalog.hosts.blue.test:443 is not a host in lower case, without port'],
  ])('%j is a fault', (hosts, fault) => expect(faultsOf({}, hosts)).toEqual([fault]));
});
