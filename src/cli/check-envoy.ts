import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseArguments } from './arguments.ts';
import type { Finding } from './check-envoy/rule.ts';
import { findingsOf, RULES } from './check-envoy/rules.ts';
import { UnreadableConfig } from './check-envoy/setting.ts';
import { type Command, EXIT, type Io, UsageError } from './command.ts';

const HELP = `sallyport check-envoy FILE... [--trusted-hops N] [--accept RULE]... [--strict] [--json]

Reads Envoy bootstraps (YAML or JSON) and names every setting that undoes a decision of Sallyport, one a line: what it
means, and what to do. The place is file:line:column; the path at the end is the setting's way through the file.

  sallyport check-envoy deploy/envoy/sidecar-grpc.yaml
  sallyport check-envoy --trusted-hops 2 envoy.yaml         behind one load balancer (1: none before Envoy)
  sallyport check-envoy --accept per_route_disabled=ROUTE envoy.yaml   that one finding is meant

  --trusted-hops N     network.trusted_hops of sallyport.yaml
  --accept RULE        what a rule finds is meant: told as accepted, and no failure
  --accept RULE=PATH   the same for one place only, by the path that its line ends with
  --strict             notes fail the check too
  --json               the result as JSON

A finding is a way past a decision; a note is worth knowing but lets nobody in. What an Envoy gets by discovery (xDS) is
not in its bootstrap: notes say where. docs/check-envoy.md explains each rule.

Exit codes: 0 clean, 1 something was found or a file cannot be read, 2 usage.
`;

/** `sallyport check-envoy`: settings of an Envoy that undo what was decided. */
export const checkEnvoy: Command = async (argv, io) => {
  const { values, positionals: files } = parseArguments(argv, OPTIONS, true);
  if (values.help === true) {
    io.stdout(HELP);
    return EXIT.ok;
  }
  if (files.length === 0) throw new UsageError('name the Envoy config to check');
  const trustedHops = hopsIn(values['trusted-hops']);
  const accepted = values.accept ?? [];
  for (const acceptance of accepted) requireRule(acceptance);
  const results: Result[] = [];
  for (const file of files) results.push(await examine(file, trustedHops, accepted, io));
  io.stdout(values.json ? `${JSON.stringify(results, undefined, 2)}\n` : results.map(toText).join(''));
  const fails = ({ error, findings }: Result): boolean =>
    error !== undefined ||
    findings.some((one) => !one.accepted && (one.severity === 'finding' || values.strict === true));
  return results.some(fails) ? EXIT.failed : EXIT.ok;
};

const OPTIONS = {
  'trusted-hops': { type: 'string' },
  accept: { type: 'string', multiple: true },
  strict: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const;

interface Result {
  readonly file: string;
  /** Why the file cannot be read: `line:column reason`, or the reason alone. */
  readonly error?: string;
  readonly findings: readonly (Finding & { readonly accepted: boolean })[];
}

async function examine(
  file: string,
  trustedHops: number | undefined,
  accepted: readonly string[],
  io: Io,
): Promise<Result> {
  try {
    const text = await readFile(resolve(io.cwd, file), 'utf8');
    const findings = findingsOf(text, { trustedHops }).map((finding) => {
      const { rule, path } = finding;
      return { ...finding, accepted: accepted.includes(rule) || accepted.includes(`${rule}=${path}`) };
    });
    return { file, findings };
  } catch (error) {
    if (error instanceof UnreadableConfig) return { file, error: error.message, findings: [] };
    return { file, error: `cannot be read: ${error instanceof Error ? error.message : String(error)}`, findings: [] };
  }
}

function toText({ file, error, findings }: Result): string {
  if (error !== undefined) return `${file}:${error}\n`;
  const lines = findings.map(({ line, column, name, text, path, rule, severity, accepted }) => {
    const kind = accepted ? 'accepted: ' : severity === 'note' ? 'note: ' : '';
    return `${file}:${line}:${column} ${name}: ${kind}${text} [${rule}] ${path}\n`;
  });
  const open = findings.filter(({ accepted }) => !accepted);
  const [found, notes] = (['finding', 'note'] as const).map(
    (severity) => open.filter((one) => one.severity === severity).length,
  );
  if (found === 0) lines.push(`${file}: OK, no setting undoes a decision${notes === 0 ? '' : ` (${notes} notes)`}\n`);
  return lines.join('');
}

function hopsIn(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,3}$/.test(text)) throw new UsageError('`--trusted-hops` takes a whole number');
  return Number(text);
}

function requireRule(acceptance: string): void {
  const [rule = ''] = acceptance.split('=', 1);
  if (RULES.some(({ id }) => id === rule)) return;
  throw new UsageError(`\`--accept ${acceptance}\` names no rule; they are ${RULES.map(({ id }) => id).join(', ')}`);
}
