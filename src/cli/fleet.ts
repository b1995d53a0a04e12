import { isObject } from '../decision/json.ts';
import { parseArguments } from './arguments.ts';
import { askServer, printable, serverUrlOf, tokenOf } from './bundles-client.ts';
import { type Command, EXIT, UsageError } from './command.ts';
import { parseDuration } from './keys-time.ts';
import { toTable } from './text-table.ts';

const HELP = `sallyport fleet --from URL --token-env NAME [--bundle B] [--json] [--expect-revision R]

Which instance runs which revision of which bundle, since when, and how long ago it said so; asked of a bundle server.
Flags what is odd: one version with two digests, a revision that was not published, a canary that nobody ordered.

  sallyport fleet --from https://bundles.internal:8383 --token-env OPS_TOKEN
  sallyport fleet --from https://bundles.internal:8383 --token-env OPS_TOKEN --bundle authz --expect-revision 4dc2670a1ce019817e23ff21

  --expect-revision R   exit code 1 unless every instance runs R and there is at least one
  --max-silence SPAN    with it: an instance not heard of for so long does not count as running anything (default: 5m)

Exit codes: 0 ok, 1 not all run the expected revision, or the server refuses, 2 usage.
`;

/** `sallyport fleet`: what the instances of a fleet run. */
export const fleet: Command = async (argv, io) => {
  const { values, positionals } = parseArguments(argv, OPTIONS, true);
  if (values.help === true) {
    io.stdout(HELP);
    return EXIT.ok;
  }
  if (positionals.length > 0) throw new UsageError(`\`${positionals[0]}\` is one argument too many`);
  const url = serverUrlOf(values.from, '--from');
  const maxSilenceS = parseDuration(values['max-silence'] ?? '5m', '--max-silence') / 1000;
  const answer = await askServer({ url: `${url}/v1/fleet`, method: 'GET', token: tokenOf(values['token-env'], io) });
  const lines = linesOf(answer, values.bundle);
  const flags = listIn(answer, 'flags').filter(
    (flag) => values.bundle === undefined || flag['bundle'] === values.bundle,
  );
  if (values.json === true) io.stdout(`${JSON.stringify(answer, null, 2)}\n`);
  else {
    io.stdout(toTable(HEAD, lines.map(toRow)));
    for (const flag of flags) io.stdout(`! ${flagText(flag)}\n`);
  }
  const { 'expect-revision': wanted } = values;
  if (wanted === undefined) return EXIT.ok;
  const others = lines.filter(({ revision, silentS }) => revision !== wanted || silentS > maxSilenceS);
  if (lines.length > 0 && others.length === 0) return EXIT.ok;
  io.stderr(
    lines.length === 0
      ? 'sallyport fleet: no instance reports\n'
      : `sallyport fleet: ${others.length} of ${lines.length} do not run revision \`${wanted}\`\n`,
  );
  return EXIT.failed;
};

const OPTIONS = {
  from: { type: 'string' },
  'token-env': { type: 'string' },
  bundle: { type: 'string' },
  json: { type: 'boolean' },
  'expect-revision': { type: 'string' },
  'max-silence': { type: 'string' },
} as const;

const HEAD = ['INSTANCE', 'BUNDLE', 'VERSION', 'REVISION', 'SHA256', 'SINCE', 'SILENT', 'STATE'];

interface Line {
  readonly instance: string;
  readonly bundle: string;
  readonly version: string;
  readonly revision: string;
  readonly sha256: string;
  readonly since: string;
  readonly silentS: number;
  readonly state: string;
}

type Members = { readonly [name: string]: unknown };

function linesOf(answer: Members, bundle: string | undefined): readonly Line[] {
  return listIn(answer, 'instances').flatMap((instance) =>
    listIn(instance, 'bundles')
      .filter(({ name }) => bundle === undefined || name === bundle)
      .map((each) => ({
        instance: `${textIn(instance, 'token')}/${textIn(instance, 'instance')}`,
        bundle: textIn(each, 'name'),
        version: textIn(each, 'version'),
        revision: textIn(each, 'revision'),
        sha256: textIn(each, 'sha256').slice(0, 16),
        since: textIn(each, 'since').replace(/\.\d+Z$/, 'Z'),
        silentS: typeof instance['silent_seconds'] === 'number' ? instance['silent_seconds'] : Number.POSITIVE_INFINITY,
        state: stateOf(each),
      })),
  );
}

function toRow({ instance, bundle, version, revision, sha256, since, silentS, state }: Line): readonly string[] {
  return [instance, bundle, version, revision, sha256, since, `${silentS} s`, state];
}

function stateOf(bundle: Members): string {
  const { candidate } = bundle;
  const parts = [bundle['stale'] === true ? 'stale' : '', textIn(bundle, 'code', '')];
  if (isObject(candidate)) {
    const percent = typeof candidate['step_percent'] === 'number' ? ` ${candidate['step_percent']} %` : '';
    parts.push(`${textIn(candidate, 'state')}${percent} of ${textIn(candidate, 'sha256').slice(0, 16)}`);
    if (candidate['tripped'] === true) parts.push(`tripped: ${textIn(candidate, 'reason')}`);
  }
  const state = parts.filter((part) => part !== '').join(', ');
  return state === '' ? 'ok' : state;
}

function flagText(flag: Members): string {
  const instances = Array.isArray(flag['instances']) ? flag['instances'].map((each) => printable(String(each))) : [];
  return `${textIn(flag, 'kind')}: bundle \`${textIn(flag, 'bundle')}\`: ${textIn(flag, 'detail')} (${instances.join(', ')})`;
}

function listIn(members: Members, name: string): readonly Members[] {
  const value = members[name];
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/** Instances say these texts: what a terminal would obey is taken out. */
function textIn(members: Members, name: string, otherwise = '-'): string {
  const value = members[name];
  return typeof value === 'string' || typeof value === 'number' ? printable(String(value)) : otherwise;
}
