import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { describeWith } from '../support/describe-with.ts';
import { requireTool } from '../support/tools.ts';
import { ANY, EXPRESSIONS, NATIVE_DIFFERENCES } from './policy-support/builtin-expressions.ts';
import { compilePolicy } from './policy-support/compile-policy.ts';
import { AT, createWasmEngineForTest, policyInput } from './policy-support/engine.ts';

const UNDEFINED = 'undefined';

describeWith(['opa'], 'host builtins give what OPA gives', () => {
  const ofOpa = new Map<string, string>();
  const ofHost = new Map<string, string>();

  beforeAll(async () => {
    const rego = source();
    for (const [name, value] of Object.entries(evaluateWithOpa(rego))) ofOpa.set(name, value);
    // One evaluation does what hundreds do otherwise.
    const engine = createWasmEngineForTest({ config: { budget_ms: 10_000 } });
    const policy = await engine.load(
      compilePolicy({ rego: { 'table.rego': rego }, entrypoints: ['table/values'], data: ANY }),
    );
    const { value } = policy.evaluate('table/values', policyInput({}), AT);
    for (const [name, text] of Object.entries(value as Record<string, string>)) ofHost.set(name, text);
    policy.close();
  }, 120_000);

  test.each(EXPRESSIONS.map((expression, index) => [index, expression] as const))('%i: %s', (index) => {
    expect(ofHost.get(`e${index}`) ?? UNDEFINED).toBe(ofOpa.get(`e${index}`) ?? UNDEFINED);
  });

  // Listed so that an update which changes one is noticed; the module cannot be told to use the host's.
  test.each(NATIVE_DIFFERENCES.map((difference, index) => [EXPRESSIONS.length + index, ...difference] as const))(
    '%i: %s differs',
    (index, _expression, opa, wasm) => {
      expect(ofOpa.get(`e${index}`) ?? UNDEFINED).toBe(opa);
      expect(ofHost.get(`e${index}`) ?? UNDEFINED).toBe(wasm);
    },
  );
});

/** Each value as Rego text made by the policy, so that digits and types survive, and sets are in order. */
function source(): string {
  const rules = [...EXPRESSIONS, ...NATIVE_DIFFERENCES.map(([expression]) => expression)].map(
    (expression, index) => `values["e${index}"] := sprintf("%v", [[x]]) if x := ${expression}`,
  );
  return ['package table', ...rules, ''].join('\n');
}

function evaluateWithOpa(rego: string): Record<string, string> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-builtins-'));
  try {
    writeFileSync(join(folder, 'table.rego'), rego);
    writeFileSync(join(folder, 'data.json'), JSON.stringify(ANY));
    const out = execFileSync(requireTool('opa'), ['eval', '-f', 'json', '-d', folder, 'data.table.values'], {
      encoding: 'utf8',
      maxBuffer: 64 * 1_048_576,
    });
    return JSON.parse(out).result[0].expressions[0].value;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
