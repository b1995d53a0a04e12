import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type BuiltinContext, BuiltinFailure } from '../../src/policy/builtins/builtin.ts';
import { YAML_BUILTINS } from '../../src/policy/builtins/yaml.ts';
import { parseJson } from '../../src/policy/values/json.ts';
import { toJsonText } from '../../src/policy/values/json-text.ts';
import { isArray } from '../../src/policy/values/object.ts';
import type { Value } from '../../src/policy/values/value.ts';
import { describeWith } from '../support/describe-with.ts';
import { caseCount, createRandom, seedOf } from '../support/seed.ts';
import { requireTool } from '../support/tools.ts';
import { randomYaml } from './policy-support/random-yaml.ts';

const REGO = `package yaml_opa

answers := [[yaml.is_valid(text), read(text)] | some text in input]

read(text) := {"value": value} if value := yaml.unmarshal(text)

else := "fails"
`;

const MARK = '\ufeff';

const CONTEXT: BuiltinContext = {
  at: { epochMs: 0, monotonicMs: 0 },
  strict: true,
  randomFor: () => new Uint8Array(32),
  charge: () => undefined,
};

describeWith(['opa'], 'YAML', () => {
  test('is read as OPA reads it, and refused where OPA refuses it', { timeout: 120_000 }, () => {
    const random = createRandom(seedOf('random YAML'));
    const texts = new Set(Array.from({ length: caseCount(12_000) }, () => randomYaml(random)));
    // Two of these at the beginning are refused here; what OPA makes of them lies in how it fills its buffers.
    const asked = [...texts].filter((text) => !text.startsWith(MARK + MARK));
    const theirs = answersOfOpa(asked);
    const wrong: object[] = [];
    let valid = 0;
    for (const [at, text] of asked.entries()) {
      const ours = answerOf(text);
      if (ours !== theirs[at]) wrong.push({ text, ours, theirs: theirs[at] });
      if (ours.startsWith('[true')) valid++;
    }
    console.info(`random YAML: ${asked.length} texts, ${valid} of them valid, ${wrong.length} read otherwise`);
    expect(wrong.slice(0, 5)).toStrictEqual([]);
    expect(valid).toBeGreaterThan(asked.length / 4);
    expect(valid).toBeLessThan(asked.length * 0.9);
  });
});

function answerOf(text: string): string {
  const isValid = call('yaml.is_valid', text);
  const value = call('yaml.unmarshal', text);
  return toJsonText([isValid ?? null, value === undefined ? 'fails' : { value }]);
}

function call(name: string, text: string): Value | undefined {
  const builtin = YAML_BUILTINS.get(name);
  if (builtin === undefined) throw new Error(`there is no builtin \`${name}\``);
  try {
    return builtin(CONTEXT, text, null, null, null);
  } catch (error) {
    if (error instanceof BuiltinFailure) return undefined;
    throw error;
  }
}

function answersOfOpa(texts: readonly string[]): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-yaml-'));
  try {
    writeFileSync(join(folder, 'yaml.rego'), REGO);
    writeFileSync(join(folder, 'input.json'), JSON.stringify(texts));
    const out = execFileSync(
      requireTool('opa'),
      ['eval', '-f', 'raw', '-d', 'yaml.rego', '-i', 'input.json', 'data.yaml_opa.answers'],
      { cwd: folder, maxBuffer: 256 * 1_048_576, encoding: 'utf8' },
    );
    const answers = parseJson(out);
    if (!isArray(answers)) throw new Error('OPA gives no list of answers');
    return answers.map((answer) => toJsonText(answer));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
