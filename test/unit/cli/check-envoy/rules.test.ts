import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { findingsOf, RULES } from '../../../../src/cli/check-envoy/rules.ts';
import { toCamelCase } from '../../../../src/cli/check-envoy/setting.ts';
import { ROOT } from '../../../support/tools.ts';

const FIXTURES = join(ROOT, 'test/unit/cli/check-envoy/fixtures');

/** The first lines of a fixture may say `# --trusted-hops N`. */
function optionsOf(text: string): { readonly trustedHops: number | undefined } {
  const hops = /^# --trusted-hops (\d+)$/m.exec(text)?.[1];
  return { trustedHops: hops === undefined ? undefined : Number(hops) };
}

const fixture = (rule: string, kind: 'failing' | 'passing'): string =>
  readFileSync(join(FIXTURES, rule, `${kind}.yaml`), 'utf8');

describe('each rule', () => {
  test('has fixtures, an entry in docs/check-envoy.md, and a name of its own', () => {
    const ids = RULES.map(({ id }) => id);
    expect(readdirSync(FIXTURES).sort()).toEqual([...ids].sort());
    const manual = readFileSync(join(ROOT, 'docs/check-envoy.md'), 'utf8');
    expect(ids.filter((id) => !manual.includes(`\n| \`${id}\``))).toEqual([]);
    const described = [...manual.matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, id]) => id);
    expect(new Set(described)).toEqual(new Set(ids));
    expect(described).toHaveLength(ids.length);
  });

  test.each(RULES.map(({ id, severity }) => [id, severity] as const))(
    '%s finds its fault and no other',
    (id, severity) => {
      expect(existsSync(join(FIXTURES, id, 'failing.yaml'))).toBe(true);
      const text = fixture(id, 'failing');
      const findings = findingsOf(text, optionsOf(text));
      expect(findings.length).toBeGreaterThan(0);
      for (const finding of findings) expect(finding).toMatchObject({ rule: id, severity });
    },
  );

  test.each(RULES.map(({ id }) => id))('%s finds nothing in the mended file', (id) => {
    const text = fixture(id, 'passing');
    expect(findingsOf(text, optionsOf(text))).toEqual([]);
  });

  // Written twice it is one name there.
  const spelt = RULES.map(({ id }) => id).filter((id) => id !== 'not_understood');
  test.each(spelt)('%s finds the same in JSON with lowerCamelCase names', (id) => {
    const text = fixture(id, 'failing');
    const told = (of: string): readonly string[] =>
      findingsOf(of, optionsOf(text))
        .map(({ rule, name }) => `${rule} ${name}`)
        .sort();
    expect(told(JSON.stringify(toCamel(parse(text)), undefined, 2))).toEqual(told(text));
  });
});

/** Names of settings only: the keys of maps hold dots, dashes or slashes. */
function toCamel(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toCamel);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, below]) => [
      /^[a-z0-9_]+$/.test(name) ? toCamelCase(name) : name,
      toCamel(below),
    ]),
  );
}
