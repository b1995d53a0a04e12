import { setImmediate } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { createInstancePool, type InstancePool } from '../../src/policy/instance-pool.ts';
import { createWasmInstance } from '../../src/policy/opa-wasm.ts';
import { describeWith } from '../support/describe-with.ts';
import { compilePolicy, fixture } from './policy-support/compile-policy.ts';

const PAGE_BYTES = 65_536;
const MIB = 1_048_576;

describeWith(['opa'], 'Wasm instances', () => {
  let module: WebAssembly.Module;

  beforeAll(async () => {
    const { wasm } = compilePolicy({
      rego: { 'b.rego': fixture('behaviour') },
      entrypoints: ['behaviour/from_data', 'behaviour/conflict', 'behaviour/costly', 'behaviour/echo_body'],
    });
    module = await WebAssembly.compile(Uint8Array.from(wasm));
  }, 60_000);

  function poolOf(data: Uint8Array, parts: { maximumBytes?: number; pause?: () => Promise<void> } = {}): InstancePool {
    return createInstancePool({
      module,
      data,
      maximumBytes: 1_024 * MIB,
      callBuiltin: () => undefined,
      pause: () => setImmediate(),
      onBuildFailure: () => undefined,
      ...parts,
    });
  }

  const facts = (count: number): Uint8Array =>
    Buffer.from(
      JSON.stringify({
        facts: Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, { at, note: 'n'.repeat(60) }])),
      }),
    );

  test('take 12 MB of data without growing: their memory is sized beforehand', { timeout: 60_000 }, () => {
    const data = facts(135_000);
    expect(data.length).toBeGreaterThan(12_000_000);
    const pool = poolOf(data);
    const pages = Math.ceil((16 * MIB + data.length * 24) / PAGE_BYTES);
    expect(pool.first.memoryBytes()).toBe(pages * PAGE_BYTES);
    expect(pool.first.dataEnd).toBeLessThan(pages * PAGE_BYTES);
    pool.close();
  });

  test('refuse to grow beyond their maximum', () => {
    const instance = createWasmInstance(
      { module, initialPages: 160, maximumPages: 192, callBuiltin: () => undefined },
      Buffer.from('{"facts":{}}'),
    );
    const body = JSON.stringify(Array.from({ length: 200_000 }, (_, at) => at));
    const entrypoint = instance.entrypoints.get('behaviour/echo_body') ?? -1;
    expect(() => instance.evaluate(entrypoint, `{"parsed_body":${body}}`)).toThrow('opa_malloc');
    expect(instance.memoryBytes()).toBeLessThanOrEqual(192 * PAGE_BYTES);
  });

  test('are copied with their data', async () => {
    const pool = poolOf(facts(1_000));
    await turns();
    const { first } = pool;
    pool.discard(first);
    const second = pool.take();
    expect(second).not.toBe(first);
    const entrypoint = second?.entrypoints.get('behaviour/from_data') ?? -1;
    expect(second?.evaluate(entrypoint, '{"identity":{"subject":"k7"}}')).toContain('"at": 7');
    pool.close();
  });

  test('are replaced when they have grown beyond their allowance', async () => {
    const pool = poolOf(facts(10));
    await turns();
    const { first } = pool;
    pool.watch(first);
    expect(pool.take()).toBe(first);
    const body = JSON.stringify(Array.from({ length: 600_000 }, (_, at) => at));
    first.evaluate(first.entrypoints.get('behaviour/echo_body') ?? -1, `{"parsed_body":${body}}`);
    expect(first.memoryBytes()).toBeGreaterThan(48 * MIB);
    pool.watch(first);
    const next = pool.take();
    expect(next).not.toBe(first);
    expect(next?.memoryBytes()).toBeLessThan(20 * MIB);
    pool.close();
  });

  test('grown ones are kept while there is no other', () => {
    const pool = poolOf(facts(10), { pause: () => new Promise(() => undefined) });
    const { first } = pool;
    const body = JSON.stringify(Array.from({ length: 600_000 }, (_, at) => at));
    first.evaluate(first.entrypoints.get('behaviour/echo_body') ?? -1, `{"parsed_body":${body}}`);
    pool.watch(first);
    expect(pool.take()).toBe(first);
    pool.close();
  });

  test('are made anew from the data when all were discarded', async () => {
    const pool = poolOf(facts(10));
    pool.discard(pool.first);
    expect(pool.take()).toBeUndefined();
    await turns();
    const next = pool.take();
    const entrypoint = next?.entrypoints.get('behaviour/from_data') ?? -1;
    expect(next?.evaluate(entrypoint, '{"identity":{"subject":"k7"}}')).toContain('"at": 7');
    pool.close();
    expect(pool.take()).toBeUndefined();
  });

  test('discarded twice count once', async () => {
    const pool = poolOf(facts(10));
    await turns();
    pool.discard(pool.first);
    pool.discard(pool.first);
    expect(pool.take()).toBeDefined();
    pool.close();
  });
});

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await setImmediate();
}
