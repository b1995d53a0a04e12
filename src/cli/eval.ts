import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { explanationOf, linesText, summaryOf } from '../cases/explanation.ts';
import { rulesText } from '../cases/rule-explanation.ts';
import { type RequestParts, toAccessRequest } from '../cases/to-access-request.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import type { AccessRequest } from '../decision/access-request.ts';
import { type ExplainedEvaluation, explainOutcome } from '../decision/explain-outcome.ts';
import type { Authenticate, Authorize, Outcome } from '../decision/ports.ts';
import type { Principal } from '../decision/principal.ts';
import { createRedecide, type Redecide } from '../decision/trial.ts';
import { parseArguments } from './arguments.ts';
import { type Command, EXIT, type Io, UsageError } from './command.ts';
import { runOneCase } from './eval/one-case.ts';
import type { CasesPorts } from './trial.ts';

const HELP = `sallyport eval [--config FILE] [--as WHO] [-X METHOD] [-H 'NAME: VALUE']... [-d BODY] PATH
sallyport eval --case NAME --file FILE [--definition FILE] [--config FILE]

Decides one request as the service would, without opening a socket, and says why: the decision, its code, the
reasons of the policy, the route, and the revision that decided. Quotas are taken as if nobody had asked before.

  sallyport eval --as tenant=tenant-a,tier=free,role=analyst -X POST -d '{"prompt":"hi"}' /tenant-b/llama-3-8b/infer
  sallyport eval --case 'another tenant' --file policies/authz/smoke.cases.yaml

The second form decides one request case by the policies as they lie there, with all that led to the decision, and
exits 1 when it is not what the case expects.

--explain says why in the policy's own lines. The lines \`why\` name the rule that gave each reason and what it asked
for in vain; below \`rules\` stands every rule that was entered, limits first, with the furthest expression that did
not hold:

  why        tenancy/tenancy.rego:10 \`reasons contains "other_tenant"\` held
  why          data.tenancy.within_own_tenant: tenancy/tenancy.rego:26 \`input.identity.tenant == …\` was not true

  --config FILE       the config of the service (default: sallyport.yaml)
  --as WHO            decide as this caller instead of verifying a credential: comma-separated NAME=VALUE of subject,
                      tenant, tier, role (repeatable) and issuer
  -X, --method NAME   (default: GET)
  -H, --header TEXT   a request header, repeatable
  -d, --data TEXT     the body; @FILE reads it from a file
  --decision NAME     the decision to ask for, as \`policy.decisions\` names it (default: default)
  --expect ANSWER     exit 1 unless the answer is \`allow\` or \`deny\`
  --explain           all that led to it: each reason, charges, what is left of each limit, headers, the policy's
                      result, and which rules were entered; with --json those are \`trace\`
  --json              the answer as JSON
  --case NAME         a request case by its name, and --file the file that it is in
  --definition FILE   with --case: the bundle whose sources decide it (default: bundles/authz.json)
`;

/** The service without its doors. */
export interface Decider {
  readonly authorize: Authorize;
  readonly close: () => Promise<void>;
}

export interface EvalPorts extends CasesPorts {
  readonly openDecider: (config: Config, overrides: { readonly authenticate?: Authenticate }) => Promise<Decider>;
}

/** Makes the command `eval`. */
export function createEval({ openDecider, openTrial }: EvalPorts): Command {
  return async (argv, io) => {
    const { values, positionals } = parseArguments(
      argv,
      {
        config: { type: 'string' },
        as: { type: 'string' },
        method: { type: 'string', short: 'X', default: 'GET' },
        header: { type: 'string', short: 'H', multiple: true, default: [] },
        data: { type: 'string', short: 'd' },
        decision: { type: 'string' },
        expect: { type: 'string' },
        json: { type: 'boolean', default: false },
        explain: { type: 'boolean', default: false },
        case: { type: 'string' },
        file: { type: 'string' },
        definition: { type: 'string' },
      },
      true,
    );
    if (values.help === true) {
      io.stdout(HELP);
      return EXIT.ok;
    }
    if (values.case !== undefined || values.file !== undefined) {
      if (positionals.length > 0) throw new UsageError('a case has its own request: leave out the path');
      if (values.case === undefined || values.file === undefined) {
        throw new UsageError('`--case NAME` and `--file FILE` go together');
      }
      const { file, definition = 'bundles/authz.json' } = values;
      const { failures, outcome, explained } = await runOneCase(
        { name: values.case, file, definition, config: values['config'] },
        openTrial,
        io,
      );
      const told = { ...toJson(outcome), ...(values.explain ? toTraces(explained) : {}), failures };
      const lines = [...explanationOf(outcome), ...ruleLines(outcome, explained)];
      io.stdout(values.json ? `${JSON.stringify(told, undefined, 2)}\n` : linesText(lines));
      if (!values.json) for (const failure of failures) io.stdout(`not as expected: ${failure}\n`);
      return failures.length === 0 ? EXIT.ok : EXIT.failed;
    }
    const [target, ...more] = positionals;
    if (target === undefined || more.length > 0) throw new UsageError('takes exactly one path');
    if (values.expect !== undefined && values.expect !== 'allow' && values.expect !== 'deny') {
      throw new UsageError('`--expect` takes `allow` or `deny`');
    }
    const config = loadConfig(resolve(io.cwd, values.config ?? 'sallyport.yaml'), io.env);
    const principal = values.as === undefined ? undefined : parsePrincipal(values.as);
    const request = toAccessRequest(partsOf(target, { ...values, body: readBody(values.data, io) }));
    const redecide = values.explain ? createRedecide(openTrial(config).tryOnce) : undefined;
    const { outcome, explained } = await decideOnce({ openDecider, config, principal, request, redecide });
    const lines = values.explain ? [...explanationOf(outcome), ...ruleLines(outcome, explained)] : summaryOf(outcome);
    const told = { ...toJson(outcome), ...(values.explain ? toTraces(explained) : {}) };
    io.stdout(values.json ? `${JSON.stringify(told, undefined, 2)}\n` : linesText(lines));
    return values.expect === undefined || values.expect === outcome.decision.kind ? EXIT.ok : EXIT.failed;
  };
}

interface Asked {
  readonly openDecider: EvalPorts['openDecider'];
  readonly config: Config;
  readonly principal: Principal | undefined;
  readonly request: AccessRequest;
  /** Where it is to be explained. */
  readonly redecide: Redecide | undefined;
}

interface Answer {
  readonly outcome: Outcome;
  readonly explained: readonly ExplainedEvaluation[] | undefined;
}

async function decideOnce({ openDecider, config, principal, request, redecide }: Asked): Promise<Answer> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-eval-'));
  try {
    const decider = await openDecider(
      toTrialConfig(config, folder),
      principal === undefined ? {} : { authenticate: () => verified(principal) },
    );
    try {
      const outcome = await decider.authorize(request);
      return { outcome, explained: redecide && (await explainOutcome(outcome, redecide)) };
    } finally {
      await decider.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * For this one request alone, with what has to be kept in a folder of its own: a trial charges nobody and reports to
 * nobody, and the folders of the config may be a running service's.
 */
function toTrialConfig({ quota, agent, rollout, bundles, ...rest }: Config, folder: string): Config {
  const { data_dir: _ledger, store, ...otherQuota } = quota;
  const { data_dir: _state, ...otherRollout } = rollout;
  const inForce = Object.entries(bundles).map(([name, { candidate: _candidate, orders: _orders, ...bundle }]) => [
    name,
    bundle,
  ]);
  return {
    ...rest,
    quota: { ...otherQuota, store: { ...store, kind: 'memory' } },
    agent: { trial: agent.trial, data_dir: folder },
    rollout: otherRollout,
    bundles: Object.fromEntries(inForce),
  };
}

const PRINCIPAL_PARTS = new Set(['subject', 'tenant', 'tier', 'role', 'issuer']);

function parsePrincipal(text: string): Principal {
  const parts = text.split(',').map((part) => {
    const at = part.indexOf('=');
    const name = part.slice(0, Math.max(0, at));
    if (!PRINCIPAL_PARTS.has(name)) {
      throw new UsageError(`\`--as\` does not know \`${part}\`; it takes ${[...PRINCIPAL_PARTS].join(', ')}`);
    }
    return [name, part.slice(at + 1)] as const;
  });
  const last = (name: string) => parts.findLast(([key]) => key === name)?.[1];
  const optional = Object.fromEntries(
    ['subject', 'tenant', 'tier', 'issuer'].flatMap((name) => (last(name) === undefined ? [] : [[name, last(name)]])),
  );
  return {
    kind: 'jwt',
    // Whoever has no name cannot be charged.
    subject: 'eval',
    roles: parts.filter(([name]) => name === 'role').map(([, role]) => role),
    scopes: [],
    claims: {},
    credentials: [],
    demo: false,
    ...optional,
  };
}

function verified(principal: Principal) {
  return { kind: 'verified', principal, peer: null, stripHeaders: [] } as const;
}

function readBody(data: string | undefined, io: Io): Uint8Array {
  if (data === undefined) return new Uint8Array();
  if (!data.startsWith('@')) return Buffer.from(data);
  const file = data.slice(1);
  try {
    return readFileSync(resolve(io.cwd, file));
  } catch (error) {
    throw new UsageError(`cannot read \`${file}\`, which \`--data\` names`, { cause: error });
  }
}

interface Typed {
  readonly method: string;
  readonly header: readonly string[];
  readonly decision?: string | undefined;
  readonly body: Uint8Array;
}

function partsOf(target: string, { method, header, decision, body }: Typed): RequestParts {
  const headers = header.map((text) => {
    const colon = text.indexOf(':');
    if (colon < 1) throw new UsageError(`\`${text}\` is no header; write 'NAME: VALUE'`);
    return [text.slice(0, colon).trim().toLowerCase(), text.slice(colon + 1).trim()] as const;
  });
  const host = headers.find(([name]) => name === 'host')?.[1];
  return {
    door: 'eval',
    method,
    target,
    ...(host === undefined ? {} : { host }),
    headers,
    body,
    complete: true,
    extensions: new Map(decision === undefined ? [] : [['sallyport.decision', decision]]),
  };
}

function ruleLines({ decision }: Outcome, explained: Answer['explained']): ReturnType<typeof rulesText> {
  return explained === undefined
    ? []
    : rulesText(explained, { denied: decision.kind === 'deny', reasons: decision.reasons });
}

function toTraces(explained: Answer['explained']): object {
  return { trace: explained?.map(({ entrypoint, trace }) => ({ entrypoint, ...trace })) };
}

function toJson(outcome: Outcome): object {
  const { decision, principal, inspected, generation, named, cause } = outcome;
  return {
    decision: decision.kind,
    ...(decision.kind === 'deny' ? { status: decision.status, reason: decision.reason, code: decision.code } : {}),
    reasons: decision.reasons,
    cause,
    entrypoint: named?.decision,
    route: inspected?.kind === 'inspected' ? inspected.route : inspected?.route,
    identity: principal === undefined ? { kind: 'anonymous' } : { ...principal, credentials: undefined },
    bundles: Object.fromEntries(generation?.revisions ?? []),
    result: outcome.result,
  };
}
