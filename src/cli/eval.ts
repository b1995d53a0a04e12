import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import type { AccessRequest } from '../decision/access-request.ts';
import type { Authenticate, Authorize, Outcome } from '../decision/ports.ts';
import type { Principal } from '../decision/principal.ts';
import { parseArguments } from './arguments.ts';
import { type Command, EXIT, type Io, UsageError } from './command.ts';

const HELP = `sallyport eval [--config FILE] [--as WHO] [-X METHOD] [-H 'NAME: VALUE']... [-d BODY] PATH

Decides one request as the service would, without opening a socket, and says why: the decision, its code, the
reasons of the policy, the route, and the revision that decided. Quotas are taken as if nobody had asked before.

  sallyport eval --as tenant=tenant-a,tier=free,role=analyst -X POST -d '{"prompt":"hi"}' /tenant-b/llama-3-8b/infer

  --config FILE       the config of the service (default: sallyport.yaml)
  --as WHO            decide as this caller instead of verifying a credential: comma-separated NAME=VALUE of subject,
                      tenant, tier, role (repeatable) and issuer
  -X, --method NAME   (default: GET)
  -H, --header TEXT   a request header, repeatable
  -d, --data TEXT     the body; @FILE reads it from a file
  --decision NAME     the decision to ask for, as \`policy.decisions\` names it (default: default)
  --expect ANSWER     exit 1 unless the answer is \`allow\` or \`deny\`
  --json              the answer as JSON
`;

/** The service without its doors. */
export interface Decider {
  readonly authorize: Authorize;
  readonly close: () => Promise<void>;
}

export interface EvalPorts {
  readonly openDecider: (config: Config, overrides: { readonly authenticate?: Authenticate }) => Promise<Decider>;
}

/** Makes the command `eval`. */
export function createEval({ openDecider }: EvalPorts): Command {
  return async (argv, io) => {
    const { values, positionals } = parseArguments(
      argv,
      {
        config: { type: 'string', default: 'sallyport.yaml' },
        as: { type: 'string' },
        method: { type: 'string', short: 'X', default: 'GET' },
        header: { type: 'string', short: 'H', multiple: true, default: [] },
        data: { type: 'string', short: 'd' },
        decision: { type: 'string' },
        expect: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
      true,
    );
    if (values.help === true) {
      io.stdout(HELP);
      return EXIT.ok;
    }
    const [target, ...more] = positionals;
    if (target === undefined || more.length > 0) throw new UsageError('takes exactly one path');
    if (values.expect !== undefined && values.expect !== 'allow' && values.expect !== 'deny') {
      throw new UsageError('`--expect` takes `allow` or `deny`');
    }
    const config = loadConfig(resolve(io.cwd, values.config), io.env);
    const principal = values.as === undefined ? undefined : parsePrincipal(values.as);
    const decider = await openDecider(
      { ...config, quota: toTrialQuota(config.quota) },
      principal === undefined ? {} : { authenticate: () => verified(principal) },
    );
    try {
      const request = toAccessRequest(target, { ...values, body: readBody(values.data, io) });
      const outcome = await decider.authorize(request);
      io.stdout(values.json ? `${JSON.stringify(toJson(outcome), undefined, 2)}\n` : toText(outcome));
      return values.expect === undefined || values.expect === outcome.decision.kind ? EXIT.ok : EXIT.failed;
    } finally {
      await decider.close();
    }
  };
}

/** Counted for this one request, in memory: a trial charges nobody, and the folder may be a running service's. */
function toTrialQuota({ data_dir: _folder, store, ...rest }: Config['quota']): Config['quota'] {
  return { ...rest, store: { ...store, kind: 'memory' } };
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

interface RequestParts {
  readonly method: string;
  readonly header: readonly string[];
  readonly decision?: string | undefined;
  readonly body: Uint8Array;
}

function toAccessRequest(target: string, { method, header, decision, body }: RequestParts): AccessRequest {
  const pairs = header.map((text) => {
    const colon = text.indexOf(':');
    if (colon < 1) throw new UsageError(`\`${text}\` is no header; write 'NAME: VALUE'`);
    return [text.slice(0, colon).trim().toLowerCase(), text.slice(colon + 1).trim()] as const;
  });
  if (body.length > 0 && !pairs.some(([name]) => name === 'content-type')) {
    pairs.push(['content-type', 'application/json']);
  }
  const all = (name: string) => pairs.filter(([key]) => key === name).map(([, value]) => value);
  return {
    door: 'eval',
    method,
    target,
    host: all('host')[0] ?? 'localhost',
    scheme: 'http',
    headers: { all, names: () => new Set(pairs.map(([name]) => name)) },
    body: { bytes: body, complete: true },
    contextExtensions: new Map(decision === undefined ? [] : [['sallyport.decision', decision]]),
    sourceAddress: '127.0.0.1',
    attributes: () => ({
      request: {
        http: {
          method,
          path: target,
          headers: Object.fromEntries(pairs),
          ...(body.length === 0 ? {} : { body: Buffer.from(body).toString('utf8') }),
        },
      },
    }),
    headersAreRaw: false,
    capabilities: { queryChanges: true, upstreamHeaders: 'all' },
  };
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

function toText(outcome: Outcome): string {
  const { decision, principal, inspected, generation, named, cause } = outcome;
  const route = inspected?.kind === 'inspected' ? inspected.route : undefined;
  const lines: (readonly [string, string | undefined])[] = [
    ['decision', decision.kind === 'allow' ? 'allow' : `deny ${decision.status} ${decision.reason} (${decision.code})`],
    ['reasons', decision.reasons.length === 0 ? undefined : decision.reasons.join(', ')],
    ['cause', cause],
    ['route', route === undefined || route === null ? undefined : `${route.name} ${routeText(route)}`],
    ['identity', principal === undefined ? 'anonymous' : identityText(principal)],
    ['entrypoint', named?.decision],
    ['upstream', decision.kind === 'allow' ? headerValue(decision.setHeaders, 'x-sallyport-upstream') : undefined],
    ['bundles', [...(generation?.revisions ?? [])].map(([name, revision]) => `${name}@${revision}`).join(' ')],
  ];
  return lines.map(([name, value]) => (value === undefined ? '' : `${name.padEnd(11)}${value}\n`)).join('');
}

function headerValue(headers: readonly (readonly [string, string])[], name: string): string | undefined {
  return headers.find(([key]) => key === name)?.[1];
}

function routeText(route: { readonly tenant?: string; readonly model?: string; readonly operation?: string }): string {
  const { tenant, model, operation } = route;
  return Object.entries({ tenant, model, operation })
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]))
    .join(' ');
}

function identityText({ kind, subject, tenant, tier, roles }: Principal): string {
  const parts = { subject, tenant, tier, roles: roles.length === 0 ? undefined : roles.join('|') };
  const named = Object.entries(parts).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
  return [kind, ...named].join(' ');
}
