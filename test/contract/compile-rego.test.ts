import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { createPinAuthority } from '../../src/bundle/agent/authority.ts';
import { believe } from '../../src/bundle/agent/believe.ts';
import { createCompileRego } from '../../src/bundle/agent/compile-rego.ts';
import { packArchive } from '../../src/bundle/archive.ts';
import { bundleData } from '../../src/bundle/bundle.ts';
import { describeWith } from '../support/describe-with.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { requireTool } from '../support/tools.ts';
import { pinOf } from '../unit/bundle/shipped.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-compile-'));
afterAll(() => rmSync(folder, { recursive: true }));

const rego = (source: string): Uint8Array =>
  packArchive(
    new Map([
      ['.manifest', Buffer.from('{"revision":"rego-1","roots":["demo"]}')],
      ['demo/policy.rego', Buffer.from(source)],
      ['demo/data.json', Buffer.from('{"limit":3}')],
    ]),
  );

const GOOD = 'package demo\n\ndefault allow := false\n\nallow if input.n < data.demo.limit\n';

describeWith(['opa'], 'a bundle that holds Rego only', () => {
  const take = (bytes: Uint8Array, config?: { readonly opa?: string; readonly timeout_ms?: number }) => {
    const authority = createPinAuthority(pinOf(bytes), createManualClock());
    const options = { opa: requireTool('opa'), entrypoints: ['demo/allow'], timeout_ms: 60_000, ...config };
    const compile = config === undefined ? undefined : createCompileRego(options);
    return believe({ name: 'demo', authority, compile }, { bytes }, undefined);
  };

  it('is refused with the command that builds it', async () => {
    await expect(take(rego(GOOD))).rejects.toMatchObject({
      code: 'bundle_not_compiled',
      message: expect.stringContaining('sallyport build --from'),
    });
  });

  it('is compiled where config says so, and keeps its digest and revision', async () => {
    const bytes = rego(GOOD);
    const { bundle } = await take(bytes, {});
    expect(bundle).toMatchObject({
      name: 'demo',
      revision: 'rego-1',
      roots: ['demo'],
      entrypoints: ['demo/allow'],
      ...pinOf(bytes),
    });
    expect(bundleData(bundle)).toEqual({ demo: { limit: 3 } });
  });

  it('that does not compile is refused with opa’s words', async () => {
    await expect(take(rego('package demo\n\nallow if nonsense(1)\n'), {})).rejects.toMatchObject({
      code: 'bundle_build_failed',
      message: expect.stringContaining('nonsense'),
    });
  });

  it('whose compilation takes too long is given up', async () => {
    const slow = join(folder, 'opa');
    writeFileSync(slow, '#!/bin/sh\nexec sleep 60\n', { mode: 0o755 });
    const startedMs = performance.now();
    await expect(take(rego(GOOD), { opa: slow, timeout_ms: 300 })).rejects.toMatchObject({
      code: 'bundle_build_failed',
    });
    expect(performance.now() - startedMs).toBeLessThan(10_000);
  });
});
