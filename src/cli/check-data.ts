import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setImmediate as pause } from 'node:timers/promises';
import { type Bundle, bundleData, parseBundle, requireEntrypoints } from '../bundle/bundle.ts';
import { BundleError } from '../bundle/errors.ts';
import { verifyTrust } from '../bundle/trust.ts';
import { loadConfig } from '../config/load.ts';
import type { CatalogFault } from '../inspection/catalog-error.ts';
import type { DecisionConfig, PolicyConfig } from '../policy/config.ts';
import { createWasmEngine } from '../policy/wasm-engine.ts';
import { parseArguments } from './arguments.ts';
import { readCatalog } from './check-data/catalog.ts';
import { type Combination, combinationsOf } from './check-data/combinations.ts';
import { createJudge, type Finding } from './check-data/judge.ts';
import { lintBursts, lintOverrides } from './check-data/limits.ts';
import { lintData, type Warning } from './check-data/lint.ts';
import { type Command, EXIT, type Io, UsageError } from './command.ts';

const HELP = `sallyport check-data [BUNDLE] [--config FILE] [--json] [--strict]

Asks the policy of a bundle about every caller (tenant and tier of the data, and the anonymous) on every route, model
and operation, and names what passes uncharged (no limit counts it) or unbounded (any size of payload). Names first
what in the data means nothing: unknown keys, tiers, models and tenants, and twins; and warns of routes without a size
limit, without a schema or without a limit, of bursts below their size, of overrides that are over, and of CORS
wildcards with credentials anywhere in the data.

  sallyport check-data                              the bundle and the default decision of sallyport.yaml
  sallyport check-data bundles/authz.tar.gz         a bundle file, its SHA-256 not compared with a pin
  sallyport check-data --strict --json              for a pipeline

  --config FILE   whose bundle and default decision (default: sallyport.yaml; with BUNDLE: authz/decision, authz/limits)
  --json          the result as JSON
  --strict        exit 1 when anything is found or warned of

Exit codes: 0 looked through, 1 the data has faults (or --strict and something was found or warned of), 2 usage,
3 bad config, 4 bad bundle.
`;

/** `sallyport check-data`: what the data of a bundle lets through. */
export const checkData: Command = async (argv, io) => {
  const { values, positionals } = parseArguments(argv, OPTIONS, true);
  if (values.help === true) {
    io.stdout(HELP);
    return EXIT.ok;
  }
  const [file, ...more] = positionals;
  if (more.length > 0) throw new UsageError('only one bundle is checked at a time');
  const subject =
    file !== undefined && values.config === undefined
      ? await fromFile(file, io)
      : await fromConfig(file, values.config, io);
  const report = await examine(subject);
  io.stdout(values.json ? `${JSON.stringify(report, undefined, 2)}\n` : toText(report));
  const found = report.findings.length + report.warnings.length;
  return report.faults.length > 0 || (values.strict && found > 0) ? EXIT.failed : EXIT.ok;
};

const OPTIONS = {
  config: { type: 'string' },
  json: { type: 'boolean', default: false },
  strict: { type: 'boolean', default: false },
} as const;

interface Subject {
  readonly bundle: Bundle;
  readonly decision: DecisionConfig;
  readonly memoryMaxMb: number;
}

interface Row {
  readonly tenant: string | null;
  readonly tier: string | null;
  readonly roles: readonly string[];
  readonly route: string;
  readonly method: string;
  readonly model: string | null;
  readonly operation: string | null;
  readonly findings: readonly Finding[];
}

interface Report {
  readonly revision: string;
  readonly faults: readonly CatalogFault[];
  readonly warnings: readonly Warning[];
  readonly combinations: number;
  readonly allowed: number;
  /** Of the allowed, how many rows have each finding. */
  readonly counts: Readonly<Record<Finding, number>>;
  readonly findings: readonly Row[];
}

const SHIPPED_DECISION: DecisionConfig = { decision: 'authz/decision', limits: 'authz/limits', result: 'sallyport' };

async function fromFile(file: string, io: Io): Promise<Subject> {
  const path = resolve(io.cwd, file);
  return { bundle: parseBundle(file, await read(path)), decision: SHIPPED_DECISION, memoryMaxMb: 1024 };
}

async function fromConfig(file: string | undefined, configFile: string | undefined, io: Io): Promise<Subject> {
  const config = loadConfig(resolve(io.cwd, configFile ?? 'sallyport.yaml'), io.env);
  const decision = config.policy.decisions['default'] ?? SHIPPED_DECISION;
  if (decision.result !== 'sallyport') {
    throw new UsageError('the default decision is of the opa-envoy shape, which has no `catalog` to go through');
  }
  const memoryMaxMb = config.policy.memory_max_mb;
  if (file !== undefined) return { ...(await fromFile(file, io)), decision, memoryMaxMb };
  const [entry, ...others] = Object.entries(config.bundles);
  if (entry === undefined || others.length > 0)
    throw new UsageError('the config has several bundles: name the file of one');
  const [name, { file: path, trust }] = entry;
  if (path === undefined) throw new UsageError(`bundle \`${name}\` comes from a url: download it and name the file`);
  const bytes = await read(path);
  if (!('sha256' in trust)) {
    throw new UsageError(`bundle \`${name}\` is trusted by keys: run \`sallyport verify\` on it, then name the file`);
  }
  verifyTrust(bytes, trust);
  return { bundle: parseBundle(name, bytes), decision, memoryMaxMb };
}

async function read(path: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    throw new BundleError('bundle_missing', `cannot read \`${path}\`; \`sallyport build\` makes it`, { cause: error });
  }
}

async function examine({ bundle, decision, memoryMaxMb }: Subject): Promise<Report> {
  const { decision: entrypoint, limits } = decision;
  requireEntrypoints([bundle], limits === undefined ? [entrypoint] : [entrypoint, limits]);
  const data = bundleData(bundle);
  const { catalog, faults, limits: terms, overrides } = readCatalog(data['catalog']);
  const clock = { now: () => ({ epochMs: Date.now(), monotonicMs: performance.now() }) };
  const warnings = [
    ...lintData(data, catalog.routes),
    ...lintBursts(terms),
    ...lintOverrides(overrides, clock.now().epochMs),
  ];
  // Nobody waits here, so no evaluation is over its budget.
  const settings: Pick<PolicyConfig, 'budget_ms' | 'memory_max_mb' | 'decisions'> = {
    budget_ms: 60_000,
    memory_max_mb: memoryMaxMb,
    decisions: { default: decision },
  };
  const engine = createWasmEngine({ config: settings, clock, randomBytes, pause, onSpareFailure: () => undefined });
  const policy = await engine.load(bundle).catch((cause: unknown) => {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new BundleError('bundle_rejected', `bundle \`${bundle.name}\`: ${text}`, { cause });
  });
  try {
    const judge = createJudge({ policy, decision: entrypoint, limits, clock });
    const rows: Row[] = [];
    const counts: Record<Finding, number> = { uncharged: 0, unbounded: 0, never_passes: 0 };
    let combinations = 0;
    let allowed = 0;
    for (const asked of combinationsOf(catalog)) {
      const judgement = judge(asked);
      combinations += 1;
      if (judgement.allowed) allowed += 1;
      for (const finding of judgement.findings) counts[finding] += 1;
      if (judgement.findings.length > 0) rows.push(toRow(asked, judgement.findings));
    }
    return { revision: bundle.revision, faults, warnings, combinations, allowed, counts, findings: rows };
  } finally {
    policy.close();
  }
}

function toRow({ principal, matched, method }: Combination, findings: readonly Finding[]): Row {
  return {
    tenant: principal?.tenant ?? null,
    tier: principal?.tier ?? null,
    roles: principal?.roles ?? [],
    route: matched.name,
    method,
    model: matched.model ?? null,
    operation: matched.operation ?? null,
    findings,
  };
}

function toText(report: Report): string {
  const lines = report.faults.map(({ path, message }) => `fault: \`${path}\` ${message}`);
  lines.push(...report.warnings.map(({ path, message }) => `warning: \`${path}\` ${message}`));
  if (report.findings.length > 0) lines.push(...toTable(report.findings), '');
  const { uncharged, unbounded, never_passes } = report.counts;
  lines.push(
    `revision ${report.revision}: ${report.combinations} combinations, ${report.allowed} allowed; ` +
      `${uncharged} uncharged, ${unbounded} unbounded, ${never_passes} that never pass; ${report.faults.length} faults in the data, ${report.warnings.length} warnings`,
  );
  return `${lines.join('\n')}\n`;
}

function toTable(rows: readonly Row[]): readonly string[] {
  const cells = rows.map((row) => [
    row.tenant ?? 'anonymous',
    row.tier ?? '-',
    row.roles.join(',') || '-',
    `${row.method} ${row.route}`,
    row.model ?? '-',
    row.operation ?? '-',
    row.findings.join(', '),
  ]);
  const table = [['TENANT', 'TIER', 'ROLES', 'ROUTE', 'MODEL', 'OPERATION', 'FOUND'], ...cells];
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0)));
  return table.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
