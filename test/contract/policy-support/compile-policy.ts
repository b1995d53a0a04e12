import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CompiledPolicy } from '../../../src/policy/policy-engine.ts';
import { requireTool } from '../../support/tools.ts';

export interface PolicySources {
  /** Rego by file name. */
  readonly rego: Readonly<Record<string, string>>;
  readonly entrypoints: readonly string[];
  readonly data?: unknown;
}

/** Builds plan and Wasm with OPA, each on its own, as the bundle builder does. */
export function compilePolicy({ rego, entrypoints, data = {} }: PolicySources): CompiledPolicy {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-policy-'));
  try {
    for (const [name, text] of Object.entries(rego)) writeFileSync(join(folder, name), text);
    const plan = build(folder, 'plan', entrypoints, 'plan.json');
    const wasm = build(folder, 'wasm', entrypoints, 'policy.wasm');
    return { plan, wasm, data: Buffer.from(JSON.stringify(data)) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Only the plan. */
export function compilePlan({ rego, entrypoints }: PolicySources): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-policy-'));
  try {
    for (const [name, text] of Object.entries(rego)) writeFileSync(join(folder, name), text);
    return build(folder, 'plan', entrypoints, 'plan.json');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function build(folder: string, target: 'plan' | 'wasm', entrypoints: readonly string[], member: string): Uint8Array {
  const archive = `${folder}/${target}.tar.gz`;
  const opa = requireTool('opa');
  const flags = entrypoints.flatMap((entrypoint) => ['-e', entrypoint]);
  execFileSync(opa, ['build', '-t', target, '--ignore', '*.tar.gz', '-o', archive, ...flags, '.'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  execFileSync('tar', ['-xzf', archive, '-P', '--transform', `s,^/*.*/,,`, '-C', folder, `/${member}`]);
  return readFileSync(join(folder, member));
}

/** A Rego fixture beside this folder. */
export function fixture(name: string): string {
  return readFileSync(new URL(`../fixtures/policy/${name}.rego`, import.meta.url), 'utf8');
}
