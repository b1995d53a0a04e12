import { blockFactsOf, carriedLocals, lentLocals, neededLocals } from './block-facts.ts';
import type { Block, FunctionUnit, PlanUnit } from './plan.ts';
import { js, listed, NOTHING, type Source } from './source.ts';
import { translateBlock, translateChoices } from './translate-block.ts';
import type { PlanContext, UnitContext, UnitLocals } from './unit-context.ts';

/** What is known of a function before its blocks are written. */
export function contextOf(
  shared: PlanContext,
  unit: PlanUnit,
  params: readonly number[],
  { returning, decisive, whole = unit }: Pick<UnitContext, 'returning' | 'decisive'> & { readonly whole?: PlanUnit },
): UnitContext {
  const { kept, needed } = unitLocalsOf(shared, unit, params);
  return {
    ...shared,
    name: unit.name,
    conflict: conflictOf(unit.name, params.length > 2),
    input: params[0] ?? 0,
    data: params[1] ?? 1,
    needed,
    returning,
    decisive,
    owner: undefined,
    kept,
    lent: unitLocalsOf(shared, whole, params).lent,
    facts: blockFactsOf([], kept),
    known: new Map(),
    stored: new Set(),
    levels: [],
    withs: 0,
    firstScratch: unit.locals,
    nextLocal: unit.locals,
    nextLabel: 0,
    used: new Set(),
  };
}

/** One look through the unit, whatever the number of functions that are made of it. */
function unitLocalsOf(
  { unitLocals }: PlanContext,
  unit: PlanUnit | FunctionUnit,
  params: readonly number[],
): UnitLocals {
  const known = unitLocals.get(unit);
  if (known !== undefined) return known;
  const own = 'returns' in unit ? [...params, unit.returns] : params;
  const kept = new Set([...own, ...carriedLocals(unit.blocks)]);
  const lent = new Set([...params, ...lentLocals(unit.blocks)]);
  const locals = { kept, needed: neededLocals(unit.blocks, [...kept]), lent };
  unitLocals.set(unit, locals);
  return locals;
}

/** What OPA says where two rules disagree. */
function conflictOf(name: string, isFunction: boolean): string {
  const path = name.replace(/^g[0-9]+\./, '');
  return isFunction
    ? `function ${path} produced conflicting values for the same inputs`
    : `rule ${path} produced conflicting values`;
}

/** One of a unit's own blocks. Rules with `else` are one, with a block for each of them in it. */
export function unitBlock(context: UnitContext, block: Block): Source {
  const [first, ...others] = block;
  const choices = first?.type === 'BlockStmt' && others.length === 0 ? first.blocks : undefined;
  if (choices === undefined) return ownBlock(context, block, context.kept);
  const kept = new Set([...context.kept, ...carriedLocals(choices)]);
  return translateChoices(context, choices, (choice) => begin(context, choice, kept));
}

/** A block outside of which only the kept locals live. */
export function ownBlock(context: UnitContext, block: Block, kept: ReadonlySet<number>): Source {
  begin(context, block, kept);
  return translateBlock(context, block);
}

function begin(context: UnitContext, block: Block, kept: ReadonlySet<number>): void {
  context.facts = blockFactsOf(block, kept, context.lent);
  context.known.clear();
  context.stored.clear();
}

/** The locals that a function's text names, beside its parameters, and those of the translator's own. */
export function declared(context: UnitContext, params: readonly number[]): Source {
  const names: Source[] = [];
  for (const local of [...context.used].sort((a, b) => a - b))
    if (local < context.firstScratch && !params.includes(local)) names.push(js`l${local}`);
  for (let local = context.firstScratch; local < context.nextLocal; local++) {
    const name = js`l${local}`;
    names.push(String(context.owner) === String(name) ? js`${name}=owned()` : name);
  }
  return names.length === 0 ? NOTHING : js`let ${listed(names)};`;
}
