import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ADDED, addedFigures, mediansOf, type Rounds, toRatios } from './figures.ts';
import type { Figures, Row } from './row.ts';
import { prepareRows, ROW_NAMES, type RowName } from './rows.ts';
import { startLoadGenerator } from './servers.ts';
import { judgedTargets } from './targets.ts';

const WARM_UP_PASSES = 5;

const { values } = parseArgs({
  options: {
    /** Where the figures go as JSON. */
    json: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    /** 0.1 for a quick look. */
    scale: { type: 'string', default: '1' },
    /** Rows wanted, separated by commas. */
    only: { type: 'string' },
  },
});

const wanted = new Set<string>(values.only?.split(',').map((name) => ADDED[name]?.row ?? name) ?? ROW_NAMES);
const roundCount = Number(values.rounds);
const folder = await mkdtemp(join(tmpdir(), 'sallyport-bench-'));
const load = startLoadGenerator();
try {
  const names = ROW_NAMES.filter((name) => wanted.has(name));
  const { rows, stop } = await prepareRows({ folder, rounds: roundCount, scale: Number(values.scale), names, load });
  try {
    const rounds = await measureRows(rows);
    const measured = [...[...rounds].map(([name, each]) => [name, mediansOf(each)] as const), ...addedFigures(rounds)];
    const ratios = toRatios(rounds);
    console.table(Object.fromEntries(measured));
    console.table(Object.fromEntries(Object.entries(ratios).map(([name, ratio]) => [name, { ratio }])));
    const targets = judgedTargets(measured, ratios);
    console.table(targets);
    if (values.json !== undefined) {
      const report = { rows: measured.map(([name, figures]) => ({ name, ...figures })), ratios, targets };
      await writeFile(values.json, `${JSON.stringify(report, null, 2)}\n`);
    }
  } finally {
    await stop();
  }
} finally {
  load.stop();
  await rm(folder, { recursive: true, force: true });
}

/**
 * Every round visits every row, so that a machine that slows down slows all of them; medians over the rounds. Before
 * them each row is warmed up: V8 has optimised what a check runs after some 50,000 of them.
 */
async function measureRows(rows: ReadonlyMap<RowName, Row>): Promise<Rounds> {
  const rounds = new Map<RowName, Figures[]>([...rows.keys()].map((name) => [name, []]));
  for (let pass = 0; pass < WARM_UP_PASSES; pass += 1) {
    for (const [name, row] of rows) if (pass === 0 || row.warmsOnce !== true) await measure(name, row, 0);
  }
  for (let round = 1; round <= roundCount; round += 1) {
    for (const [name, row] of rows) {
      if (round <= (row.rounds ?? roundCount)) rounds.get(name)?.push(await measure(name, row, round));
    }
  }
  return rounds;
}

async function measure(name: RowName, row: Row, round: number): Promise<Figures> {
  return row.measure(round).catch((cause: unknown) => {
    throw new Error(`row \`${name}\`, round ${round}`, { cause });
  });
}
