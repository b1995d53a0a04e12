import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

const SOURCE = (name: string): string => new URL(`../../../${name}`, import.meta.url).href;

const PROGRAM = `
import { readFileSync } from 'node:fs';
import { parseBundle } from '${SOURCE('src/bundle/bundle.ts')}';
import { createJsEngine } from '${SOURCE('src/policy/js-engine.ts')}';

let refused = false;
try {
  new Function('return 1');
} catch {
  refused = true;
}
const { plan, wasm, data } = parseBundle('authz', new Uint8Array(readFileSync('bundles/authz.tar.gz')));
const engine = createJsEngine({
  config: { budget_ms: 1000, decisions: { default: { decision: 'authz/decision', result: 'sallyport' } } },
  randomBytes: (count) => new Uint8Array(count),
  cpuMs: () => 0,
});
const policy = await engine.load({ plan, wasm, data });
const { value } = policy.evaluateText('authz/decision', '{}', { epochMs: 0, monotonicMs: 0 });
console.log(JSON.stringify({ refused, allow: value.allow }));
`;

test('the policy runs where code from strings is forbidden', () => {
  const output = execFileSync(
    process.execPath,
    ['--disallow-code-generation-from-strings', '--input-type=module', '--eval', PROGRAM],
    { cwd: new URL('../../..', import.meta.url), encoding: 'utf8' },
  );
  expect(JSON.parse(output)).toEqual({ refused: true, allow: false });
});
