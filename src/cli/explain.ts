import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseBundle } from '../bundle/bundle.ts';
import { narrowPlan } from '../policy/plan/narrowed-plan.ts';
import type { Plan } from '../policy/plan/plan.ts';
import { readPlan } from '../policy/plan/plan-reader.ts';
import { translatePlan } from '../policy/plan/translate.ts';
import { parseArguments } from './arguments.ts';
import { type Command, EXIT, UsageError } from './command.ts';

const HELP = `sallyport explain --source [--bundle FILE] [--traced] [ENTRYPOINT]

Prints the JavaScript that a bundle's policy becomes when it is loaded with \`policy.engine: js\`: all of it, or what one
entrypoint can reach. Nothing of it is run, and whether the bundle is believed is not asked (\`sallyport verify\` is).

  sallyport explain --source
  sallyport explain --source --bundle bundles/authz.tar.gz authz/decision

How to read it: each Rego rule is a function; the comments at the top say which, and where it stands in the Rego. l0 is
\`input\` and l1 is \`data\`. The source itself holds no text of the policy's: c7=constant(3) takes the third of the
constants that are listed at the end, c9=builtin(0) the first of the builtins. \`meter.steps\` counts down the budget.

Why one request is decided as it is: \`sallyport eval --explain\`.

  --source         the generated source
  --bundle FILE    the bundle (default: bundles/authz.tar.gz)
  --traced         as it is when it is watched, for \`sallyport eval --explain\` and coverage; slow
`;

/** `sallyport explain`: what a policy becomes. */
export const explain: Command = async (argv, io) => {
  const { values, positionals } = parseArguments(argv, OPTIONS, true);
  if (values.help === true) {
    io.stdout(HELP);
    return EXIT.ok;
  }
  const [entrypoint, ...more] = positionals;
  if (!values.source)
    throw new UsageError('say what to explain: `--source`; one request is `sallyport eval --explain`');
  if (more.length > 0) throw new UsageError('takes one entrypoint at most');
  const file = resolve(io.cwd, values.bundle);
  const bytes = await readFile(file).catch((error: unknown) => {
    throw new UsageError(`cannot read the bundle \`${values.bundle}\``, { cause: error });
  });
  const bundle = parseBundle(values.bundle, bytes);
  const whole = readPlan(bundle.plan);
  const plan = entrypoint === undefined ? whole : narrowPlan(whole, entrypoint);
  if (plan === undefined) {
    throw new UsageError(`the bundle has no entrypoint \`${entrypoint}\`, only ${bundle.entrypoints.join(', ')}`);
  }
  const { source, constants, builtins } = translatePlan(plan, { trace: values.traced, index: !values.traced });
  io.stdout(`${legendOf(plan)}${source}\n`);
  for (const [index, constant] of constants.entries()) io.stdout(`// constant(${index}) ${commentText(constant)}\n`);
  for (const [index, name] of builtins.entries()) io.stdout(`// builtin(${index}) ${name}\n`);
  return EXIT.ok;
};

const OPTIONS = {
  source: { type: 'boolean', default: false },
  traced: { type: 'boolean', default: false },
  bundle: { type: 'string', default: 'bundles/authz.tar.gz' },
} as const;

function legendOf({ functions, plans, files }: Plan): string {
  const rules = functions.map(({ name, blocks }, index) => {
    const position = blocks.flat().find((statement) => statement.position !== undefined)?.position;
    const place = position === undefined ? '' : ` ${files[position.file] ?? ''}:${position.row}`;
    return `// f${index} ${commentText(name.replace(/^g[0-9]+\./, ''))}${commentText(place)}\n`;
  });
  const entries = plans.map(({ name }, index) => `// f${functions.length + index} ${commentText(name)}\n`);
  return [...rules, ...entries].join('');
}

/** On one line, whatever the policy's texts hold. */
function commentText(value: unknown): string {
  const text = typeof value === 'string' && /^[\x20-\x7e]*$/.test(value) ? value : JSON.stringify(value);
  return text.replaceAll(/[\u2028\u2029]/g, ' ');
}
