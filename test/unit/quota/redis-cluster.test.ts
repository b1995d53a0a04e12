import { describe, expect, test } from 'vitest';
import type { Reservation } from '../../../src/quota/bucket-store.ts';
import { byPart, merged, splitNote, withLayout, withoutLayout } from '../../../src/quota/redis/redis-cluster-note.ts';
import { PARTS, partNames, partOfTag, slotOf } from '../../../src/quota/redis/redis-cluster-slots.ts';
import { inParts } from '../../../src/quota/redis/redis-cluster-take.ts';
import { parseClusterSlots, parseRedirect } from '../../../src/quota/redis/redis-cluster-view.ts';
import { RespError } from '../../../src/quota/redis/redis-resp.ts';
import { tenantTag } from '../../../src/quota/reservation-id.ts';
import { clusterRate } from '../../support/redis-cluster-store.ts';
import { plainCharge } from '../../support/redis-store.ts';

describe('the parts of a cluster', () => {
  test.each([
    ['123456789', 12_739],
    ['foo', 12_182],
    ['', 0],
  ])('the slot of `%s` is %i', (text, slot) => {
    expect(slotOf(text)).toBe(slot);
  });

  test('are 256, one in each 256th of the slots, under names that never change', () => {
    const names = partNames();
    expect(names).toHaveLength(PARTS);
    expect(names.map((name) => Math.floor(slotOf(name) / 64))).toEqual(Array.from({ length: PARTS }, (_, at) => at));
    expect([names[0], names[7], names[128], names[255]]).toMatchInlineSnapshot(`
      [
        "q41",
        "q452",
        "q240",
        "q11",
      ]
    `);
  });

  test('have about as many tenants each', () => {
    const counts = Array.from({ length: PARTS }, () => 0);
    for (let tenant = 0; tenant < 25_600; tenant += 1) {
      const part = partOfTag(tenantTag(`tenant-${tenant}`));
      counts[part] = (counts[part] ?? 0) + 1;
    }
    expect(Math.min(...counts)).toBeGreaterThan(50);
    expect(Math.max(...counts)).toBeLessThan(160);
  });

  test('divide a plan with that of the tenant first, even where it has no charge and is to be recorded', () => {
    const charges = [clusterRate('a', 1, 9), clusterRate('b', 1, 4), clusterRate('c', 1, 9)].map((one) =>
      plainCharge(one),
    );
    const shown = (home: number, recorded: boolean) =>
      inParts(charges, home, recorded).map(({ part, places }) => [part, places]);
    expect(shown(4, false)).toEqual([
      [4, [1]],
      [9, [0, 2]],
    ]);
    expect(shown(7, false).map(([part]) => part)).toEqual([9, 4]);
    expect(shown(7, true)[0]).toEqual([7, []]);
  });
});

describe('what a node says of the cluster', () => {
  const node = (host: string | null, port: number) => [
    host === null ? null : Buffer.from(host),
    port,
    Buffer.from('id'),
  ];

  test('is who has which slots; a node that does not know its name is the one that was asked', () => {
    const reply = [
      [0, 99, node('10.0.0.1', 7000), node('10.0.0.9', 7009)],
      [100, 16_383, node(null, 7001)],
      [5, 5, node('?', 7002)],
    ];
    expect(parseClusterSlots(reply, 'asked')).toEqual([
      { first: 0, last: 99, host: '10.0.0.1', port: 7000 },
      { first: 100, last: 16_383, host: 'asked', port: 7001 },
      { first: 5, last: 5, host: 'asked', port: 7002 },
    ]);
  });

  test.each<[string, never]>(
    [
      ['no list', Buffer.from('OK')],
      ['a slot that there is not', [[0, 16_384, node('a', 1)]]],
      ['no master', [[0, 1]]],
      ['a port that there is not', [[0, 1, node('a', 65_536)]]],
      ['a text for a slot', [[Buffer.from('0'), 1, node('a', 1)]]],
    ].map(([name, reply]) => [String(name), reply as never]),
  )('is refused with %s', (_, reply) => {
    expect(() => parseClusterSlots(reply, 'asked')).toThrow(TypeError);
  });

  test.each([
    ['MOVED 3999 127.0.0.1:6381', { kind: 'MOVED', host: '127.0.0.1', port: 6381 }],
    ['ASK 3999 node.example:6381', { kind: 'ASK', host: 'node.example', port: 6381 }],
    ['MOVED 1 ::1:6381', { kind: 'MOVED', host: '::1', port: 6381 }],
    ['MOVED 1 :6381', { kind: 'MOVED', host: 'asked', port: 6381 }],
    ['MOVED 1 host:0', undefined],
    ['MOVED 1 host:65536', undefined],
    ['MOVED host:6381', undefined],
    ['ERR MOVED 1 host:6381', undefined],
  ])('redirects with `%s`', (text, wanted) => {
    expect(parseRedirect(new RespError(text), 'asked')).toEqual(wanted);
  });
});

describe('the note of a reservation in several parts', () => {
  const layout = { plan: 2, holding: [9, 4, 9], others: [9, 200] };

  test.each(['["tenant"]', '', '\u0001', 'a\nb'])('gives back the note %j', (note) => {
    expect(splitNote(withLayout(note, layout))).toEqual({ note, layout });
    expect(splitNote(withoutLayout(note))).toEqual({ note });
  });

  test('says what each part uses, and what all of them hold', () => {
    expect([...byPart(layout, [1, 2, 3])]).toEqual([
      [9, [1, 3]],
      [4, [2]],
    ]);
    const own = { state: 'settled', plan: 0, note: '', amounts: [20], expiresMs: 5, used: [2, 1, 2, 3] } as const;
    const other = { state: 'open', plan: 0, note: '', amounts: [10, 30], expiresMs: 9 } as const;
    const known = new Map<number, Reservation>([
      [4, own],
      [9, other],
    ]);
    expect(merged(layout, 'note', 4, known)).toEqual({
      state: 'settled',
      plan: 2,
      note: 'note',
      amounts: [10, 20, 30],
      expiresMs: 9,
      used: [1, 2, 3],
    });
  });
});
