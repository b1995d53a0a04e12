import type { FunctionUnit, Plan } from './plan.ts';
import { visitLocals, visitStatements } from './plan-walk.ts';

/** What a function's result depends on beside its own parameters, through all that it calls. */
export interface FunctionFacts {
  input: boolean;
  data: boolean;
  /** What differs between two evaluations of the same input and data, or has to happen in each. */
  evaluation: boolean;
}

/** Builtins of the clock, of chance, and with effects. */
export const PER_EVALUATION: ReadonlySet<string> = new Set([
  'crypto.x509.parse_and_verify_certificates',
  'crypto.x509.parse_and_verify_certificates_with_options',
  'http.send',
  'internal.print',
  'io.jwt.decode_verify',
  'io.jwt.encode_sign',
  'io.jwt.encode_sign_raw',
  'net.lookup_ip_addr',
  'opa.runtime',
  'print',
  'providers.aws.sign_req',
  'rand.intn',
  'time.now_ns',
  'trace',
  'uuid.rfc4122',
]);

/** By the function's position in the plan. */
export function factsOf(plan: Plan): readonly FunctionFacts[] {
  const callers = plan.functions.map((): Set<number> => new Set());
  const facts = plan.functions.map((unit, caller) => ownFacts(unit, plan, (callee) => callers[callee]?.add(caller)));
  const pending = [...facts.keys()];
  for (let callee = pending.pop(); callee !== undefined; callee = pending.pop()) {
    const from = facts[callee];
    for (const caller of callers[callee] ?? []) {
      const to = facts[caller];
      if (from !== undefined && to !== undefined && spread(from, to)) pending.push(caller);
    }
  }
  return facts;
}

function spread(from: FunctionFacts, to: FunctionFacts): boolean {
  const changes = (from.input && !to.input) || (from.data && !to.data) || (from.evaluation && !to.evaluation);
  to.input ||= from.input;
  to.data ||= from.data;
  to.evaluation ||= from.evaluation;
  return changes;
}

function ownFacts(unit: FunctionUnit, plan: Plan, calls: (callee: number) => void): FunctionFacts {
  const facts: FunctionFacts = { input: false, data: false, evaluation: false };
  const [input, data] = unit.params;
  const see = (local: number): void => {
    facts.input ||= local === input;
    facts.data ||= local === data;
  };
  const visitor = { read: see, update: see };
  visitStatements(unit.blocks, (statement) => {
    const callee = statement.type === 'CallStmt' ? plan.functionIndexes.get(statement.func) : undefined;
    if (callee !== undefined && statement.type === 'CallStmt') {
      calls(callee);
      for (const argument of statement.args.slice(2)) if (argument.kind === 'local') see(argument.local);
      return;
    }
    if (statement.type === 'CallStmt') facts.evaluation ||= PER_EVALUATION.has(statement.func);
    // It may call any function.
    if (statement.type === 'CallDynamicStmt') facts.evaluation = true;
    visitLocals(statement, visitor);
  });
  return facts;
}
