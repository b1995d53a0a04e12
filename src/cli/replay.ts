import { existsSync, readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { type Bundle, parseBundle, requireEntrypoints } from '../bundle/bundle.ts';
import { BundleError } from '../bundle/errors.ts';
import { mergeData } from '../bundle/merged-data.ts';
import type { Config } from '../config/config.ts';
import type { DoorCapabilities } from '../decision/access-request.ts';
import type { Impact } from '../replay/impact.ts';
import { type EventFilter, replayLog } from '../replay/replay-log.ts';
import { createReplay, type ReplayBundle } from '../replay/replayer.ts';
import { parseArguments } from './arguments.ts';
import { type Command, EXIT, type Io, UsageError } from './command.ts';
import { loggedPaths } from './replay/logged-paths.ts';
import { reportText } from './replay/report.ts';
import { toRouteTable } from './replay/route-table.ts';
import { trialConfig } from './test/trial-config.ts';
import type { CasesPorts, Trial } from './trial.ts';

const HELP = `sallyport replay --log FILE[,FILE...] --bundle FILE [--bundle FILE...] [--config FILE]

Decides recorded decisions once more, by another bundle, and says what would change: who would be denied that was allowed,
who allowed that was denied, by tenant, route and reason, and what limits would be charged. Nothing is sent or taken.

  sallyport replay --log decisions.log --bundle new.tar.gz
  sallyport replay --log monday.log.gz,tuesday.log --bundle new.tar.gz --compare-with old.tar.gz --json
  sallyport replay --log decisions.log --bundle new.tar.gz --only tenant=tenant-a --max-changes 10

  --log FILE            decision events, one a line, plain or .gz; a service's stdout will do; repeatable
  --bundle FILE         what decides; several are one generation
  --config FILE         the config that the log was written under: which decisions there are, and what was logged
                        (default: sallyport.yaml, where there is one)
  --compare-with FILE   compare with what this bundle answers, and not with what the log says; repeatable
  --only NAME=VALUE     comma-separated: tenant=…, route=…
  --max-changes N       as many answers may change (default: 0)
  --expect-unchanged    nothing at all may change: no reason, no charge, and every decision must be replayable
  --json                the whole account as JSON

What a policy reads and an event does not hold makes the event not replayable; the report names each such path.

Exit codes: 0 no more changes than allowed, 1 more, or nothing could be replayed, 2 usage, 3 bad config, 4 bad bundle.
`;

/** Makes the command `replay`. */
export function createReplayCommand({ openTrial }: CasesPorts): Command {
  return async (argv, io) => {
    const { values } = parseArguments(argv, OPTIONS);
    if (values.help === true) {
      io.stdout(HELP);
      return EXIT.ok;
    }
    const files = (values.log ?? []).flatMap((text) => text.split(',')).map((file) => resolve(io.cwd, file));
    if (files.length === 0) throw new UsageError('name the log with `--log FILE`');
    if (values.bundle === undefined) throw new UsageError('name the bundle that is to decide with `--bundle FILE`');
    const most = parseMost(values['max-changes'], values['expect-unchanged']);
    const only = parseOnly(values.only);

    const bundles = values.bundle.map((file) => readBundle(file, io));
    const others = (values['compare-with'] ?? []).map((file) => readBundle(file, io));
    const config = trialConfig(
      values.config,
      bundles.flatMap(({ entrypoints }) => entrypoints),
      io,
    );
    const isGiven = values.config !== undefined || existsSync(resolve(io.cwd, 'sallyport.yaml'));
    const trial = openTrial(config);
    const loaded = await load(trial, bundles, config);
    try {
      const other = others.length === 0 ? undefined : await load(trial, others, config);
      try {
        const impact = await replayLog({
          files,
          bundle: loaded.bundle,
          ...(other === undefined ? {} : { compareWith: other.bundle }),
          only,
          progress: (lines) => io.stderr(`sallyport replay: ${lines} lines\n`),
          replay: createReplay({
            tryOnce: trial.tryOnce,
            decisions: new Map(Object.entries(config.policy.decisions).map(([name, one]) => [name, { name, ...one }])),
            logs: loggedPaths(isGiven ? config.decision_log.input : undefined),
            capabilities: isGiven ? capabilitiesOf(config) : () => ALL,
          }),
        });
        io.stdout(values.json ? `${JSON.stringify(impact, undefined, 2)}\n` : reportText(impact));
        return exitCodeOf(impact, { most, strict: values['expect-unchanged'] }, io);
      } finally {
        other?.close();
      }
    } finally {
      loaded.close();
    }
  };
}

const OPTIONS = {
  log: { type: 'string', multiple: true },
  bundle: { type: 'string', multiple: true },
  config: { type: 'string' },
  'compare-with': { type: 'string', multiple: true },
  only: { type: 'string' },
  'max-changes': { type: 'string' },
  'expect-unchanged': { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const;

function parseMost(text: string | undefined, strict: boolean): number {
  if (text === undefined) return 0;
  if (strict) throw new UsageError('`--max-changes` and `--expect-unchanged` contradict each other');
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`\`--max-changes ${text}\` is no number of changes`);
  return Number(text);
}

function parseOnly(text: string | undefined): EventFilter {
  let only: EventFilter = {};
  for (const part of text === undefined ? [] : text.split(',')) {
    const [, name, value] = /^(tenant|route)=(.+)$/.exec(part) ?? [];
    if (name === undefined || value === undefined) {
      throw new UsageError(`\`--only\` does not know \`${part}\`; it takes tenant=NAME and route=NAME`);
    }
    only = { ...only, [name]: value };
  }
  return only;
}

function readBundle(file: string, io: Io): Bundle {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(resolve(io.cwd, file));
  } catch (error) {
    throw new BundleError('bundle_missing', `cannot read the bundle \`${file}\``, { cause: error });
  }
  return parseBundle(basename(file).replace(/\.tar\.gz$/, ''), bytes);
}

async function load(
  trial: Trial,
  bundles: readonly Bundle[],
  { policy }: Config,
): Promise<{ readonly bundle: ReplayBundle; readonly close: () => void }> {
  const needed = Object.values(policy.decisions).flatMap(({ decision, limits }) =>
    limits === undefined ? [decision] : [decision, limits],
  );
  requireEntrypoints(bundles, needed);
  try {
    const routes = toRouteTable(mergeData(bundles).value['catalog']);
    const { generation, close } = await trial.load(bundles);
    return { bundle: { generation, routes }, close };
  } catch (error) {
    if (error instanceof BundleError) throw error;
    const names = bundles.map(({ name }) => `\`${name}\``).join(', ');
    const cause = error instanceof Error ? error.message : String(error);
    throw new BundleError('bundle_rejected', `the bundle ${names} cannot decide: ${cause}`, { cause: error });
  }
}

/** Only Envoy's HTTP door is limited, to what config lists. */
function capabilitiesOf({ doors }: Config): (door: string) => DoorCapabilities {
  const http: DoorCapabilities = {
    queryChanges: false,
    upstreamHeaders: new Set(doors.ext_authz_http?.upstream_headers ?? []),
  };
  return (door) => (door === 'ext_authz_http' ? http : ALL);
}

const ALL: DoorCapabilities = { queryChanges: true, upstreamHeaders: 'all' };

/** INVARIANT: 0 only where something was replayed; a log that tells nothing must not pass for one in which nothing changes. */
function exitCodeOf(
  impact: Impact,
  { most, strict }: { readonly most: number; readonly strict: boolean },
  io: Io,
): number {
  const { decisions, replayable, changed, lines, charges, other_reasons: otherReasons } = impact;
  if (replayable === 0) {
    io.stderr(
      `sallyport replay: ${decisions === 0 ? 'there is no decision in the log' : 'nothing could be replayed'}\n`,
    );
    return EXIT.failed;
  }
  const isUnlike = otherReasons > 0 || charges.length > 0 || replayable < decisions || lines.damaged > 0;
  return changed > most || (strict && isUnlike) ? EXIT.failed : EXIT.ok;
}
