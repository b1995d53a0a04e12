import { describe, expect, test } from 'vitest';
import { loggedPaths } from '../../../src/cli/replay/logged-paths.ts';
import { DEFAULT_INPUT } from '../../../src/decision-log/loggable.ts';
import { ignorancesOf } from '../../../src/replay/known-input.ts';
import { eventMembers, recorded } from './recorded-lines.ts';

const DEFAULTS = loggedPaths(DEFAULT_INPUT);
const NO_CONFIG = loggedPaths(undefined);
const FROM_EVENT = { route: false, readsBody: true };

type Row = readonly [title: string, path: string, parts: object, input: object, expected: readonly string[]];

describe('whether an event tells a path', () => {
  const rows: readonly Row[] = [
    ['a member that is there', 'identity.tier', {}, {}, []],
    ['a member that is not there, but would be', 'identity.key_id', {}, {}, []],
    ['a member that the allow-list leaves out', 'identity.scopes', {}, {}, ['not_logged identity.scopes']],
    ['claims', 'identity.claims.team', {}, {}, ['never_logged identity.claims.team']],
    ['a body', 'parsed_body.model', {}, {}, ['never_logged parsed_body.model']],
    ['headers', 'attributes.request.http.headers', {}, {}, ['never_logged attributes.request.http.headers']],
    ['all of input', '*', {}, {}, ['never_logged *']],
    ['the version', 'version.encoding', {}, {}, []],
    ['claims of the anonymous, who have none', 'identity.claims.team', {}, { identity: { kind: 'anonymous' } }, []],
    ['a masked member', 'identity.subject', { masked: ['/input/identity/subject'] }, {}, ['masked identity.subject']],
    ['a member below what was erased', 'identity.tier', { erased: ['/input/identity'] }, {}, ['masked identity.tier']],
    ['a member above it', 'route.params', { erased: ['/input/route/params/a~1b'] }, {}, ['masked route.params']],
    ['one beside it', 'identity.tier', { erased: ['/input/identity/tie'] }, {}, []],
    [
      'an event of which nothing was left',
      'identity.tier',
      { erased: ['/input', '/result'] },
      {},
      ['masked identity.tier'],
    ],
    ['a cut text', 'identity.subject', {}, { identity: { subject: `${'x'.repeat(255)}…` } }, ['cut identity.subject']],
    [
      'a cut text in a list',
      'identity.roles',
      {},
      { identity: { roles: [`${'x'.repeat(255)}…`] } },
      ['cut identity.roles'],
    ],
    ['a short text that ends like one that was cut', 'identity.subject', {}, { identity: { subject: 'x…' } }, []],
    ['no peer, with names not logged', 'peer.spiffe_id', {}, {}, []],
    ['the subject of a peer, with no peer there', 'peer.subject', {}, {}, []],
    ['the subject of a peer that has a SPIFFE ID', 'peer.subject', {}, { peer: { spiffe_id: 'spiffe://a/b' } }, []],
    ['a whole part, member by member', 'network', {}, {}, []],
  ];
  test.each(rows)('%s', (_, path, parts, input, expected) => {
    const { input: usual } = eventMembers() as { readonly input: Readonly<Record<string, object>> };
    const merged = Object.fromEntries(Object.entries(input).map(([name, part]) => [name, { ...usual[name], ...part }]));
    const event = recorded({ ...parts }, merged);
    expect(ignorancesOf(event, path, FROM_EVENT, DEFAULTS).map((one) => `${one.why} ${one.path}`)).toEqual(expected);
  });

  test('without the config nothing that is not there is known to have been absent', () => {
    expect(ignorancesOf(recorded(), 'identity.key_id', FROM_EVENT, NO_CONFIG)).toEqual([
      { why: 'not_logged', path: 'identity.key_id' },
    ]);
    expect(ignorancesOf(recorded(), 'identity.tier', FROM_EVENT, NO_CONFIG)).toEqual([]);
  });

  test('an object may be a part of what there was unless the config says that all of it is logged', () => {
    expect(ignorancesOf(recorded(), 'request.size', FROM_EVENT, DEFAULTS)).toEqual([]);
    const part = loggedPaths(['request.size.known']);
    expect(ignorancesOf(recorded(), 'request.size', FROM_EVENT, part)).toHaveLength(1);
    expect(
      ignorancesOf(recorded({}, { request: { size: { known: false } } }), 'request.size.bytes', FROM_EVENT, part),
    ).toEqual([{ why: 'not_logged', path: 'request.size.bytes' }]);
  });

  test('a list of DNS names tells that a peer without one is no peer', () => {
    const logs = loggedPaths(['peer.dns_sans']);
    for (const path of ['peer', 'peer.subject', 'peer.spiffe_id']) {
      expect(ignorancesOf(recorded(), path, FROM_EVENT, logs)).toEqual([]);
    }
    expect(ignorancesOf(recorded({}, { peer: { dns_sans: [] } }), 'peer.spiffe_id', FROM_EVENT, logs)).toHaveLength(1);
  });

  test('a route that came of the table is known, and one that reads no body has no inference', () => {
    const masked = recorded({ masked: ['/input/route/tenant', '/input/inference/model'] });
    expect(ignorancesOf(masked, 'route.tenant', { route: true, readsBody: false }, NO_CONFIG)).toEqual([]);
    expect(ignorancesOf(masked, 'inference', { route: true, readsBody: false }, NO_CONFIG)).toEqual([]);
    expect(ignorancesOf(masked, 'inference.model', FROM_EVENT, DEFAULTS)).toHaveLength(1);
  });

  test('an event that notes as much as it can may have left out more', () => {
    const erased = Array.from({ length: 64 }, (_, index) => `/result/${index}`);
    expect(ignorancesOf(recorded({ erased }), 'identity.tier', FROM_EVENT, DEFAULTS)).toHaveLength(1);
  });
});
