import { afterEach, describe, expect, test } from 'vitest';
import { createFleet } from '../../../src/bundle-server/fleet.ts';
import { parseStatusReport, type StatusReport } from '../../../src/bundle-server/status-report.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { newSigner, type OpenServer, openServer, orderFor, release } from './server-support.ts';

const author = newSigner('author-1');
const keys = { 'author-1': author.publicPem };
const [one, two, three] = [release(author, 1), release(author, 2), release(author, 3)];

function agent(id: string, ran: { sha256: string; version: number; revision: string }, candidate?: object) {
  return {
    labels: { id, version: '1.0' },
    bundles: {
      authz: { name: 'authz', active_revision: ran.revision, last_successful_activation: '2026-11-02T11:00:00Z' },
    },
    sallyport: {
      instance_id: id,
      bundles: {
        authz: {
          sha256: ran.sha256,
          version: ran.version,
          stale: false,
          ...(candidate === undefined ? {} : { candidate }),
        },
      },
    },
  };
}

describe('the fleet at the server', () => {
  let server: OpenServer | undefined;
  afterEach(() => server?.stop());
  const view = async (open: OpenServer) => JSON.parse((await open.ask('fleet', { path: '/v1/fleet' })).body);
  async function open(): Promise<OpenServer> {
    const made = await openServer({ keys });
    server = made;
    await made.publish(one);
    await made.publish(two);
    await made.promote(one.sha256);
    return made;
  }

  test('shows what each instance runs, since when, and what it ran before', async () => {
    const made = await open();
    await made.report('report', agent('i-1', one));
    made.clock.advance(60_000);
    await made.promote(two.sha256);
    await made.report('report', agent('i-1', two));
    made.clock.advance(5_000);
    const { instances, flags } = await view(made);
    expect(instances).toMatchObject([
      {
        token: 'report',
        instance: 'i-1',
        silent_seconds: 5,
        bundles: [
          {
            name: 'authz',
            revision: 'r2',
            version: 2,
            sha256: two.sha256,
            sha256_by: 'instance',
            stale: false,
            since: '2026-11-02T12:01:00.000Z',
            history: [{ revision: 'r1', since: '2026-11-02T12:00:00.000Z' }],
          },
        ],
      },
    ]);
    expect(flags).toEqual([]);
  });

  test('an instance of another token under the same name is another instance', async () => {
    const made = await open();
    await made.report('report', agent('i-1', one));
    await made.report('report2', agent('i-1', three));
    const { instances } = await view(made);
    expect(
      instances.map((each: { token: string; bundles: { version: number }[] }) => [
        each.token,
        each.bundles[0]?.version,
      ]),
    ).toEqual([
      ['report', 1],
      ['report2', 3],
    ]);
  });

  test('a plain OPA is placed by the revision it names', async () => {
    const made = await open();
    await made.report('report', { labels: { id: 'opa' }, bundles: { authz: { active_revision: 'r1' } } });
    const { instances, flags } = await view(made);
    expect(instances[0].bundles[0]).toMatchObject({ sha256: one.sha256, sha256_by: 'revision', version: 1 });
    expect(flags).toEqual([]);
  });

  test.each([
    ['split_view', [agent('i-1', one), agent('i-2', { ...one, sha256: two.sha256 })]],
    ['unknown_revision', [agent('i-1', three)]],
    ['unknown_revision', [{ labels: { id: 'opa' }, bundles: { authz: { active_revision: 'r9' } } }]],
    ['not_promoted', [agent('i-1', two)]],
    ['candidate_not_ordered', [agent('i-1', one, { sha256: two.sha256, state: 'canary', step_percent: 10, trips: 0 })]],
  ])('flags %s', async (kind, documents) => {
    const made = await open();
    for (const document of documents) await made.report('report', document);
    const { flags } = await view(made);
    expect(flags.map((flag: { kind: string }) => flag.kind)).toContain(kind);
  });

  test('a candidate that an order in force names is not flagged', async () => {
    const made = await open();
    await made.order(orderFor(author, two, 1));
    await made.report('report', agent('i-1', one, { sha256: two.sha256, state: 'canary', step_percent: 10, trips: 0 }));
    expect((await view(made)).flags).toEqual([]);
    made.clock.advance(2 * 3_600_000);
    expect((await view(made)).flags).toMatchObject([{ kind: 'candidate_not_ordered', instances: ['report/i-1'] }]);
  });
});

describe('the memory of the fleet', () => {
  const report = (instance: string, more: Partial<StatusReport> = {}): StatusReport => ({
    instance,
    labels: {},
    bundles: [],
    ...more,
  });
  const open = () => {
    const clock = createManualClock();
    const tripped: string[] = [];
    const fleet = createFleet({
      clock,
      maxInstances: 5,
      maxInstancesPerToken: 3,
      forgetAfterMs: 3_600_000,
      onTrips: (name) => void tripped.push(name),
    });
    return { clock, fleet, tripped };
  };

  test('is bounded for each token, and a flood of names displaces nobody who is heard', () => {
    const { clock, fleet } = open();
    for (const name of ['a', 'b', 'c']) expect(fleet.report('t1', report(name))).toBe('taken');
    expect(fleet.report('t1', report('d'))).toBe('full');
    expect(fleet.report('t2', report('a'))).toBe('taken');
    expect(fleet.report('t1', report('a'))).toBe('taken');
    clock.advance(700_000);
    expect(fleet.report('t1', report('a'))).toBe('taken');
    expect(fleet.report('t1', report('d'))).toBe('taken');
    expect(
      fleet
        .instances()
        .map(({ token, instance }) => `${token}/${instance}`)
        .sort(),
    ).toEqual(['t1/a', 't1/c', 't1/d', 't2/a']);
    clock.advance(3_600_001);
    expect(fleet.instances()).toEqual([]);
  });

  test('keeps the last few revisions, and tells of trips once', () => {
    const { fleet, tripped } = open();
    for (let at = 0; at < 30; at += 1)
      fleet.report('t', report('a', { bundles: [{ name: 'authz', revision: `r${at}` }] }));
    expect(fleet.instances()[0]?.bundles.get('authz')?.history).toHaveLength(8);
    const sha256 = 'a'.repeat(64);
    const bundles = [{ name: 'authz', candidate: { sha256, state: 'rolled_back', tripped: true } }];
    fleet.report('t', report('a', { bundles }));
    fleet.report('t', report('a', { bundles }));
    expect(tripped).toEqual(['authz']);
    expect(fleet.trips('authz', sha256, 1)).toEqual(['t/a']);
    expect(fleet.trips('authz', sha256, 2)).toEqual([]);
    expect(fleet.trips('authz', 'b'.repeat(64), 1)).toEqual([]);
  });
});

describe('a status document', () => {
  const parse = (text: string) => parseStatusReport(JSON.parse(text), (name) => name === 'authz');

  test.each([
    ['{}'],
    ['{"labels": {"id": 5}}'],
    ['{"labels": {"id": "a b"}}'],
    ['{"labels": {"id": "../x"}}'],
    [`{"labels": {"id": "${'a'.repeat(200)}"}}`],
    ['{"labels": ["id"]}'],
    ['{"__proto__": {"labels": {"id": "a"}}}'],
  ])('%s names no instance', (text) => {
    expect(parse(text)).toBeUndefined();
  });

  test('what is odd in it is left out', () => {
    const report = parse(
      `{"labels": {"id": "a", "n": 1, "__proto__": "x"}, "bundles": {"authz": {"active_revision": 5, "code": "${'c'.repeat(999)}",
        "last_successful_activation": "0001-01-01T00:00:00Z"}, "theirs": {"active_revision": "r"}},
        "sallyport": {"bundles": {"authz": {"sha256": "A", "version": 1.5, "stale": "yes", "candidate": {"sha256": "x", "state": "canary"}}}}}`,
    );
    expect(report?.bundles).toEqual([{ name: 'authz', code: 'c'.repeat(256) }]);
    expect(Object.keys(report?.labels ?? {})).toEqual(['id', '__proto__']);
  });
});
