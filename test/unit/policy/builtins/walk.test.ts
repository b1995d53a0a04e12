import { expect, test } from 'vitest';
import { WALK_BUILTINS } from '../../../../src/policy/builtins/walk.ts';
import { callBuiltin, OutOfSteps } from './call-builtin.ts';

test.each([
  [
    'walk',
    '{"a":[1,{2}],3:4}',
    '[[[],{3:4,"a":[1,{2}]}],[[3],4],[["a"],[1,{2}]],[["a",0],1],[["a",1],{2}],[["a",1,2],2]]',
  ],
  ['walk', '1', '[[[],1]]'],
  [
    'walk',
    '{"__proto__":{"constructor":[]}}',
    '[[[],{"__proto__":{"constructor":[]}}],[["__proto__"],{"constructor":[]}],[["__proto__","constructor"],[]]]',
  ],
])('%s(%s) answers %s', (name, operands, expected) => {
  expect(callBuiltin(WALK_BUILTINS, name, operands, { strict: true })).toBe(expected);
});

test('walks are charged by the values and the steps of their paths', () => {
  const deep = '['.repeat(300) + ']'.repeat(300);
  expect(() => callBuiltin(WALK_BUILTINS, 'walk', deep, { steps: 10_000 })).toThrow(OutOfSteps);
  expect(callBuiltin(WALK_BUILTINS, 'walk', deep, { steps: 60_000 })).toMatch(/^\[\[\[\],/);
});

test('walks give up beyond their bound', () => {
  const deep = `${'['.repeat(900)}${'0,'.repeat(5_000)}0${']'.repeat(900)}`;
  expect(() => callBuiltin(WALK_BUILTINS, 'walk', deep)).toThrow('`walk` finds too much');
});
