import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cpuMicroseconds } from './cpu.ts';
import { type LoadResult, median } from './latency.ts';
import { prepareRows, ROW_NAMES, type Row, type RowName } from './rows.ts';
import { type LoadGenerator, startLoadGenerator } from './servers.ts';

interface Measurement {
  readonly name: RowName;
  readonly cpu_us: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly per_second: number;
}

type Round = LoadResult & { readonly cpuUs: number };
type Rounds = ReadonlyMap<RowName, readonly Round[]>;

/**
 * What `ratios` holds: CPU per call of the first row over that of the second, the median over the rounds, since what
 * else the machine does weighs on both rows of a round alike.
 */
const RATIOS: Readonly<Record<string, readonly [RowName, RowName]>> = {
  check_warm_vs_grpc_js_echo: ['check_warm_token', 'grpc_js_echo'],
  check_warm_vs_http2_echo: ['check_warm_token', 'http2_echo'],
  opa_server_vs_check_warm: ['opa_server', 'check_warm_token'],
};

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

const wanted = values.only?.split(',') ?? ROW_NAMES;
const roundCount = Number(values.rounds);
const folder = await mkdtemp(join(tmpdir(), 'sallyport-bench-'));
const generator = startLoadGenerator();
try {
  const names = ROW_NAMES.filter((name) => wanted.includes(name));
  const { rows, stop } = await prepareRows({ folder, rounds: roundCount, scale: Number(values.scale), names });
  try {
    const rounds = await measureRows(rows, generator);
    const measured = rows.map((row) => summarise(row.name, rounds.get(row.name) ?? []));
    const ratios = toRatios(rounds);
    console.table(Object.fromEntries(measured.map(({ name, ...figures }) => [name, figures])));
    console.table(Object.fromEntries(Object.entries(ratios).map(([name, ratio]) => [name, { ratio }])));
    if (values.json !== undefined)
      await writeFile(values.json, `${JSON.stringify({ rows: measured, ratios }, null, 2)}\n`);
  } finally {
    await stop();
  }
} finally {
  generator.stop();
  await rm(folder, { recursive: true, force: true });
}

/**
 * Every round visits every row, so that a machine that slows down slows all of them; medians over the rounds. Before
 * them each row is warmed up: V8 has optimised what a check runs after some 50,000 of them.
 */
async function measureRows(rows: readonly Row[], load: LoadGenerator): Promise<Rounds> {
  const rounds = new Map<RowName, Round[]>(rows.map((row) => [row.name, []]));
  for (let pass = 0; pass < WARM_UP_PASSES; pass += 1) {
    // Tokens that were seen are cold no more, and only so many were made.
    for (const row of rows) if (pass === 0 || row.name !== 'check_cold_token') await measure(row, 0, load);
  }
  for (let round = 1; round <= roundCount; round += 1) {
    for (const row of rows) rounds.get(row.name)?.push(await measure(row, round, load));
  }
  return rounds;
}

async function measure(row: Row, round: number, load: LoadGenerator): Promise<Round> {
  const before = cpuMicroseconds(row.pid);
  const result = await load.run(row.order(round)).catch((cause: unknown) => {
    throw new Error(`row \`${row.name}\`, round ${round}`, { cause });
  });
  return { ...result, cpuUs: (cpuMicroseconds(row.pid) - before) / row.count };
}

function summarise(name: RowName, rounds: readonly Round[]): Measurement {
  const middle = (pick: (round: Round) => number): number => median(rounds.map(pick));
  return {
    name,
    cpu_us: rounded(
      middle((round) => round.cpuUs),
      1,
    ),
    p50_ms: rounded(
      middle((round) => round.p50Ms),
      3,
    ),
    p99_ms: rounded(
      middle((round) => round.p99Ms),
      3,
    ),
    per_second: rounded(
      middle((round) => round.perSecond),
      0,
    ),
  };
}

function toRatios(rounds: Rounds): Record<string, number> {
  return Object.fromEntries(
    Object.entries(RATIOS).flatMap(([ratio, [over, under]]) => {
      const [above, below] = [rounds.get(over), rounds.get(under)];
      if (above === undefined || below === undefined) return [];
      const each = above.map((round, number) => round.cpuUs / (below[number]?.cpuUs ?? Number.NaN));
      return [[ratio, rounded(median(each), 2)] as const];
    }),
  );
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
