import type { FunctionUnit, Plan } from './plan.ts';
import { statementsIn } from './plan-walk.ts';

/** The plan with one entrypoint and what that can call; `undefined` where it has no such entrypoint. */
export function narrowPlan(plan: Plan, entrypoint: string): Plan | undefined {
  const unit = plan.plans.find(({ name }) => name === entrypoint);
  if (unit === undefined) return undefined;
  const wanted = new Set<FunctionUnit>();
  const waiting = [unit.blocks];
  for (let blocks = waiting.pop(); blocks !== undefined; blocks = waiting.pop()) {
    for (const statement of statementsIn(blocks)) {
      // What a dynamic call finds is not known before it is made.
      if (statement.type === 'CallDynamicStmt') return { ...plan, plans: [unit] };
      if (statement.type !== 'CallStmt') continue;
      const callee = plan.functions[plan.functionIndexes.get(statement.func) ?? -1];
      if (callee === undefined || wanted.has(callee)) continue;
      wanted.add(callee);
      waiting.push(callee.blocks);
    }
  }
  const functions = plan.functions.filter((callee) => wanted.has(callee));
  const functionIndexes = new Map(functions.map(({ name }, index) => [name, index]));
  return { ...plan, plans: [unit], functions, functionIndexes };
}
