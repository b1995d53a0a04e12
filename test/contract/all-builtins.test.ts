import { execFileSync } from 'node:child_process';
import { beforeAll, expect, test } from 'vitest';
import { BUILTINS } from '../../src/policy/builtins/all.ts';
import { FORBIDDEN_BUILTINS } from '../../src/policy/policy-engine.ts';
import { describeWith } from '../support/describe-with.ts';
import { requireTool } from '../support/tools.ts';

/** OPA's builtins that are not here, and why. */
const UNSUPPORTED: ReadonlyMap<string, string> = new Map([
  ...['assign', 'eq', 'print', 'rego.metadata.chain', 'rego.metadata.rule'].map(
    (name) => [name, 'the compiler leaves no call of it in a plan'] as const,
  ),
  ['internal.test_case', 'only `opa test` puts it into a policy'],
  ...['is_valid', 'parse', 'parse_and_verify', 'parse_query', 'parse_schema', 'schema_is_valid'].map(
    (name) => [`graphql.${name}`, 'no library here gives the syntax trees of the one that OPA uses'] as const,
  ),
  ['strings.render_template', 'it takes Go’s template language'],
]);

describeWith(['opa'], 'the builtins of OPA', () => {
  let names: readonly string[] = [];

  beforeAll(() => {
    const out = execFileSync(requireTool('opa'), ['capabilities', '--current'], {
      encoding: 'utf8',
      maxBuffer: 16 * 1_048_576,
    });
    // What OPA prints of itself.
    const { builtins } = JSON.parse(out) as { readonly builtins: readonly { readonly name: string }[] };
    names = builtins.map(({ name }) => name);
  });

  test('each is here, forbidden by design, or unsupported for a reason', () => {
    const missing = names.filter(
      (name) => !BUILTINS.has(name) && !FORBIDDEN_BUILTINS.has(name) && !UNSUPPORTED.has(name),
    );
    expect(missing).toStrictEqual([]);
  });

  test('none is here that is forbidden, listed as unsupported, or not OPA’s', () => {
    const known = new Set(names);
    expect([...BUILTINS.keys()].filter((name) => FORBIDDEN_BUILTINS.has(name))).toStrictEqual([]);
    expect([...BUILTINS.keys()].filter((name) => UNSUPPORTED.has(name))).toStrictEqual([]);
    expect([...BUILTINS.keys()].filter((name) => !known.has(name))).toStrictEqual([]);
    expect([...FORBIDDEN_BUILTINS, ...UNSUPPORTED.keys()].filter((name) => !known.has(name))).toStrictEqual([]);
  });
});
