import type { ChargeEffect } from '../../replay/charge-effects.ts';
import type { ChangeGroup, Impact, UnknownGroup } from '../../replay/impact.ts';

/** The impact for people: what would change, what it costs, and what could not be told. */
export function reportText(impact: Impact): string {
  return [...headOf(impact), ...changesOf(impact), ...chargesOf(impact), ...unknownsOf(impact), ...revisionsOf(impact)]
    .map((line) => `${printable(line)}\n`)
    .join('');
}

function headOf({ lines, decisions, replayable, core, equal, changed, other_reasons: otherReasons }: Impact): string[] {
  const beside = [
    [lines.other, 'lines of other kinds'],
    [lines.damaged, 'damaged'],
    [lines.duplicates, 'read twice'],
    [lines.filtered, 'filtered out'],
    [lines.administrative, 'administrative'],
    [lines.stubs, 'dropped by the policy'],
  ] as const;
  const said = beside.flatMap(([count, what]) => (count === 0 ? [] : [`${count} ${what}`]));
  if (lines.aggregates > 0) said.push(`${lines.aggregates} that sum up ${lines.aggregated} denials`);
  return [
    `${decisions} decisions, ${replayable} of them replayable (${percent(replayable, decisions)})`,
    ...(said.length === 0 ? [] : [`  beside them: ${said.join(', ')}`]),
    `  ${equal} equal; ${core} of these were refused before any policy was asked, which no policy changes`,
    ...(otherReasons === 0 ? [] : [`  ${otherReasons} of the equal give other reasons, which no client sees`]),
    `  ${changed} would be answered otherwise`,
  ];
}

function changesOf({ by_change: byChange, changes }: Impact): string[] {
  return TITLES.flatMap(([change, what]) => {
    const groups = changes.filter((group) => group.change === change);
    if (groups.length === 0) return [];
    const shown = groups.slice(0, MAX_SHOWN);
    const more = groups.length - shown.length;
    const title = `${what}: ${byChange[change]}`;
    return [
      '',
      title,
      ...shown.map(changeText),
      ...(more === 0 ? [] : [`  … ${more} more groups: --json has them all`]),
    ];
  });
}

const TITLES: readonly (readonly [ChangeGroup['change'], string])[] = [
  ['allow_to_deny', 'allow to deny'],
  ['deny_to_allow', 'deny to allow'],
  ['status', 'another status or code'],
  ['upstream', 'another upstream'],
  ['routed', 'another route: refused for its route before, and now the policy would be asked'],
  ['reasons', 'other reasons only'],
];

const MAX_SHOWN = 20;

function changeText({ tenant, route, from, to, count, examples }: ChangeGroup): string {
  return `  ${count}  tenant ${tenant}  route ${route}  ${from} → ${to}  e.g. ${examples.join(' ')}`;
}

function chargesOf({ charges }: Impact): string[] {
  if (charges.length === 0) return [];
  const shown = charges.slice(0, MAX_SHOWN).map(chargeText);
  return ['', 'charges of what is allowed, as far as they differ', ...shown];
}

function chargeText({ limit, tenant, unit, before, after }: ChargeEffect): string {
  const cost = after.cost - before.cost;
  const requests = after.requests - before.requests;
  return (
    `  ${limit}  tenant ${tenant}  ${before.cost} → ${after.cost} ${unit} (${signed(cost)}), ` +
    `${before.requests} → ${after.requests} charges (${signed(requests)})`
  );
}

function unknownsOf({ not_replayable: unknowns }: Impact): string[] {
  if (unknowns.length === 0) return [];
  const logMore = unknowns.filter(({ why }) => why === 'not_logged').map(({ path }) => path);
  return [
    '',
    'not replayable, by what the events do not tell; an event counts at each',
    ...unknowns.slice(0, MAX_SHOWN).map(unknownText),
    ...(logMore.length === 0 ? [] : [`  add to \`decision_log.input\`: ${logMore.join(', ')}`]),
  ];
}

function unknownText({ why, path, count }: UnknownGroup): string {
  return `  ${count}  \`${path}\` ${WHY[why]}`;
}

const WHY: Readonly<Record<UnknownGroup['why'], string>> = {
  never_logged: 'is never logged: a policy that reads it cannot be replayed',
  not_logged: 'may not have been logged: name the config that it was logged under with --config, or log it',
  masked: 'was masked or erased',
  cut: 'was cut to the length that events have',
  not_told: 'is not told by the event or by the config',
};

function revisionsOf({ revisions }: Impact): string[] {
  return [
    '',
    'by the revision that had decided',
    ...revisions.map(
      ({ revisions: names, decisions, changed, not_replayable: unknown }) =>
        `  ${names}  ${decisions} decisions, ${changed} changed, ${unknown} not replayable`,
    ),
  ];
}

function signed(value: number): string {
  return value > 0 ? `+${value}` : String(value);
}

function percent(part: number, whole: number): string {
  // Rounded down: what is not all must not be said to be 100 %.
  return whole === 0 ? '–' : `${Math.floor((part * 1000) / whole) / 10} %`;
}

/** What callers chose is in the log, and a terminal obeys control characters. */
function printable(line: string): string {
  return line.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '�');
}
