import { readFileSync } from 'node:fs';
import { Script } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { readArchive } from '../../../src/bundle/archive.ts';
import { STATEMENT_FIELDS } from '../../../src/policy/plan/plan.ts';
import { planOf, readPlan } from '../../../src/policy/plan/plan-reader.ts';
import { js, Source } from '../../../src/policy/plan/source.ts';
import { translatePlan } from '../../../src/policy/plan/translate.ts';
import { PolicyLoadError } from '../../../src/policy/policy-engine.ts';
import { faultsOf } from '../../support/generated-source-check.ts';
import { caseCount, createRandom, type Random, seedOf } from '../../support/seed.ts';
import { ROOT } from '../../support/tools.ts';
import { EVERY_STATEMENT } from './every-statement.ts';

function shippedPlan(): unknown {
  const files = readArchive(readFileSync(`${ROOT}/bundles/authz.tar.gz`));
  return JSON.parse(new TextDecoder().decode(files.get('plan.json') ?? files.get('/plan.json')));
}

type Path = readonly (string | number)[];

/** What is put into a document may be deeper than the stack; no plan is. */
const DEEPEST = 200;

/** Where every value of a document stands. */
function* placesIn(value: unknown, path: Path = []): Generator<Path> {
  if (path.length > 0) yield path;
  if (typeof value !== 'object' || value === null || path.length === DEEPEST) return;
  for (const [key, member] of Object.entries(value)) yield* placesIn(member, [...path, key]);
}

const HOSTILE: readonly unknown[] = [
  'l0;process.exit()',
  '__proto__',
  'constructor',
  '`$' + '{process.exit()}`',
  "');process.exit();('",
  '*/process.exit()/*',
  '\u2028process.exit()',
  '\ud800',
  '',
  -1,
  1.5,
  1e21,
  2 ** 31,
  2 ** 53,
  49_999,
  50_000,
  null,
  true,
  [],
  {},
  ['x'],
  { type: 'local', value: 0 },
  { type: 'string_index', value: 0 },
  { type: 'local', value: '0;process.exit()' },
];

/** Changes one place of a document, or two. */
function mutate(document: unknown, random: Random): void {
  const places = [...placesIn(document)];
  const path = random.pick(places);
  const holder = at(document, path.slice(0, -1));
  const key = path.at(-1);
  if (typeof holder !== 'object' || holder === null || key === undefined) return;
  // An array has its items under texts too.
  const members = holder as Record<string, unknown>;
  const old = members[key];
  switch (random.below(6)) {
    case 0:
      define(holder, key, random.pick(HOSTILE));
      break;
    case 1:
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else delete members[key];
      break;
    case 2:
      // Another place's value, of the same kind where chance has it.
      define(holder, key, copyOf(at(document, random.pick(places))));
      break;
    case 3:
      if (typeof old === 'number') define(holder, key, old + random.below(5) - 2);
      else if (typeof old === 'string') define(holder, key, `${old}${String(random.pick(HOSTILE))}`);
      else if (!Array.isArray(holder)) define(holder, random.pick(HOSTILE), old);
      break;
    case 4:
      if (typeof old === 'object' && old !== null && 'stmts' in old) {
        let nested: unknown = old;
        const kind = random.pick(['BlockStmt', 'NotStmt', 'BlockStmt']);
        for (let depth = random.pick([3, 100, 600]); depth > 0; depth--) {
          const inner = kind === 'BlockStmt' ? { blocks: [nested] } : { block: nested };
          nested = { stmts: [{ type: kind, stmt: inner }] };
        }
        define(holder, key, nested);
      } else if (Array.isArray(old)) define(holder, key, [...old, ...copyOf(old)]);
      break;
    default:
      if (typeof old === 'object' && old !== null && 'type' in old) {
        define(
          old,
          'type',
          random.pick([...Object.keys(STATEMENT_FIELDS), 'local', 'bool', 'string_index', 'toString']),
        );
      } else if (typeof old === 'number') define(holder, key, random.below(20));
  }
}

/** What is nested deep has to be copied too. */
function copyOf<T>(value: T): T {
  return JSON.parse(JSON.stringify(value));
}

function at(value: unknown, path: Path): unknown {
  let found = value;
  // Every path is one that `placesIn` found.
  for (const step of path) found = (found as Record<string, unknown>)[step];
  return found;
}

function define(holder: object, key: unknown, value: unknown): void {
  Object.defineProperty(holder, String(key), { value, writable: true, enumerable: true, configurable: true });
}

describe('generated source', () => {
  it('of the shipped plan is only what the translator writes', () => {
    for (const trace of [false, true])
      expect(faultsOf(translatePlan(planOf(shippedPlan()), { trace }).source)).toEqual([]);
  });

  it('of every kind of statement is only what the translator writes', () => {
    const kinds = new Set(JSON.stringify(EVERY_STATEMENT).match(/\w+Stmt(?=")/g));
    expect(kinds).toEqual(new Set(Object.keys(STATEMENT_FIELDS)));
    for (const trace of [false, true])
      expect(faultsOf(translatePlan(planOf(EVERY_STATEMENT), { trace }).source)).toEqual([]);
  });

  it.each([
    'process',
    'l0.constructor',
    "l0['x']",
    'l0[0]',
    '"x"',
    '`x`',
    '/x/',
    '1.5',
    '-1n',
    'new l0()',
    '()=>l0',
    'l0**2',
    'import(l0)',
    '({c0})',
    'this',
    'function* f0(){}',
    'l0x',
    'f01',
  ])('is not %s, and the check says so', (source) => {
    expect(faultsOf(`(${source})`)).not.toEqual([]);
  });

  it('takes no text', () => {
    const text: unknown = 'process.exit()';
    // What a mistake in the translator would do.
    expect(() => js`l${text as number}`).toThrow(TypeError);
    expect(() => js`l${1.5}`).toThrow(TypeError);
    expect(() => js`l${Number.NaN}`).toThrow(TypeError);
    expect(String(js`l${3}=${js`f${4}`};`)).toBe('l3=f4;');
    expect(js`l${3}`).toBeInstanceOf(Source);
  });

  it('of a mutated plan is only what the translator writes, or the plan is refused', { timeout: 240_000 }, () => {
    const random = createRandom(seedOf('mutated plans'));
    const shipped = shippedPlan();
    let accepted = 0;
    const wanted = caseCount(10_000);
    for (let round = 0; round < wanted; round++) {
      const mutant = structuredClone(round % 1_000 === 0 ? shipped : EVERY_STATEMENT);
      for (let changes = random.below(3); changes >= 0; changes--) mutate(mutant, random);
      const translation = translationOf(mutant, round % 2 === 0);
      if (translation === undefined) continue;
      accepted++;
      const { source } = translation;
      const faults = faultsOf(source);
      if (faults.length > 0) expect(faults).toEqual([]);
      // V8 takes it too: labels, nesting, and names are right.
      new Script(source);
      structuredClone(translation);
    }
    expect(accepted).toBeGreaterThan(wanted / 20);
    expect(accepted).toBeLessThan(wanted);
  });
});

/** A mutant may be nested too deep to be written at all. */
function textOf(document: unknown): string | undefined {
  try {
    return JSON.stringify(document);
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
    return undefined;
  }
}

function translationOf(document: unknown, trace: boolean) {
  const text = textOf(document);
  if (text === undefined) return undefined;
  try {
    return translatePlan(readPlan(Buffer.from(text)), { trace, leastIndexed: 2 });
  } catch (error) {
    expect(error).toBeInstanceOf(PolicyLoadError);
    expect(error).toMatchObject({ code: 'invalid_plan' });
    return undefined;
  }
}
