import type { Block, FunctionUnit, Plan, Position, Statement } from './plan.ts';
import { blocksOf } from './plan-walk.ts';
import { committed, shapeOf } from './rule-groups.ts';

/** One body of a rule, or its default. */
export interface RuleBody {
  /** `data.authz.allow` */
  readonly rule: string;
  /** Where it begins. */
  readonly head: Position;
  readonly isDefault: boolean;
}

/** What a statement is to the rule in whose body it stands. */
export interface StatementRole {
  readonly body: RuleBody;
  /** It gives the rule its value. */
  readonly gives: boolean;
  /** It asks whether a body before this one gave a value. */
  readonly guards: boolean;
  /** It stands below a `not` or an `every`: what fails there does not make the body fail. */
  readonly negated: boolean;
  /** The statement in which it stands. */
  readonly parent: Statement | undefined;
}

/** The roles of all statements that stand in a rule. */
export function rolesOf({ functions }: Plan): ReadonlyMap<Statement, StatementRole> {
  const roles = new Map<Statement, StatementRole>();
  for (const unit of functions) {
    const { groups, after } = shapeOf(unit);
    for (const { blocks } of groups) {
      const choices = blocks.flatMap(choicesOf);
      const states = choices.flatMap((block) => committed(block, unit.returns) ?? []);
      const values = new Set([unit.returns, ...states]);
      for (const block of choices) {
        if (committed(block, unit.returns) === undefined) addBody(roles, unit, block, { values, isDefault: false });
      }
    }
    for (const block of after) {
      if (block[0]?.type !== 'ReturnLocalStmt') {
        addBody(roles, unit, block, { values: new Set([unit.returns]), isDefault: true });
      }
    }
  }
  return roles;
}

/** Rules with `else` are one block, with a block for each of them in it. */
function choicesOf(block: Block): readonly Block[] {
  const [first, ...others] = block;
  return first?.type === 'BlockStmt' && others.length === 0 ? first.blocks : [block];
}

interface BodyKind {
  /** Locals that hold the rule's value. */
  readonly values: ReadonlySet<number>;
  readonly isDefault: boolean;
}

function addBody(
  roles: Map<Statement, StatementRole>,
  unit: FunctionUnit,
  block: Block,
  { values, isDefault }: BodyKind,
): void {
  const head = block.find(({ position }) => position !== undefined)?.position;
  if (head === undefined) return;
  const body: RuleBody = { rule: unit.name.replace(/^g[0-9]+\./, ''), head, isDefault };
  const add = (statements: Block, parent: Statement | undefined, negated: boolean): void => {
    for (const statement of statements) {
      const gives = !negated && givesTo(statement, values);
      const guards = parent === undefined && statement === block[0] && statement.type === 'IsUndefinedStmt';
      roles.set(statement, { body, gives, guards, negated, parent });
      for (const inner of blocksOf(statement)) add(inner, statement, negated || statement.type === 'NotStmt');
    }
  };
  add(block, undefined, false);
}

function givesTo(statement: Statement, values: ReadonlySet<number>): boolean {
  const { type } = statement;
  if (type === 'AssignVarOnceStmt') return values.has(statement.target);
  if (type === 'SetAddStmt') return values.has(statement.set);
  return (type === 'ObjectInsertStmt' || type === 'ObjectInsertOnceStmt') && values.has(statement.object);
}
