import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { EXPORT_DIMENSIONS, type ExportDimension, exportUsage } from '../quota/ledger/ledger-export.ts';
import { verifyLedger } from '../quota/ledger/ledger-verify.ts';
import { parseArguments } from './arguments.ts';
import { type Command, EXIT, type Io, UsageError } from './command.ts';

const HELP = `sallyport usage export|verify --dir DIR

Reads the ledger of what was used and charged, in the folder that a config names in \`quota.data_dir\`. It is only read,
so that a running sallyport may go on writing it. Every replica has one of its own: repeat --dir to name them all.

  sallyport usage export --dir /var/lib/sallyport --from 2027-01-01 --to 2027-01-31 > january.csv
  sallyport usage export --dir replica-1 --dir replica-2 --format json --by tenant
  sallyport usage verify --dir /var/lib/sallyport

export   sums up what each reservation came to, every one of them once, whatever was reported twice
  --from DAY --to DAY     first and last day, both included, of the request in UTC (default: all days)
  --format csv|json       default: csv
  --by D[,D]              what rows are made by, of tenant, model and day (default: all three)
  settled and expired count reservations; an expired one was never reported, so its charge is what was held, and its
  tokens are unknown. Behind the tokens comes one column for each limit: a budget of a day and one of a month count the
  same call, so never add the columns of two limits. nano_usd are thousand-millionths of a US dollar.
verify   checks every checksum and the chain of all lines and files; exit code 1 when something was damaged or changed

A report that two replicas got may be in the ledgers of both: export them in one go, and it counts once.

Exit codes: 0 done, 1 failed, or the ledger is damaged, 2 usage.
`;

/** `sallyport usage`: what the ledger says, and whether it can be believed. */
export const usage: Command = async (argv, io) => {
  const { values, positionals } = parseArguments(argv, OPTIONS, true);
  if (values.help === true) {
    io.stdout(HELP);
    return EXIT.ok;
  }
  const [action, ...more] = positionals;
  if (action !== 'export' && action !== 'verify') {
    throw new UsageError(action === undefined ? 'say what to do: export or verify' : `\`${action}\` is no action here`);
  }
  if (more.length > 0) throw new UsageError(`nothing goes behind \`${action}\` but flags`);
  if (values.dir === undefined) throw new UsageError('name the folder of `quota.data_dir` with --dir');
  const folders = await Promise.all(values.dir.map((dir) => ledgerIn(resolve(io.cwd, dir))));
  if (action === 'export') return exportLedgers(folders, values, io);
  for (const name of ['from', 'to', 'format', 'by'] as const) {
    if (values[name] !== undefined) throw new UsageError(`--${name} is not for verify`);
  }
  let code: number = EXIT.ok;
  for (const folder of folders) code = Math.max(code, await tellVerdict(folder, io));
  return code;
};

const OPTIONS = {
  dir: { type: 'string', multiple: true },
  from: { type: 'string' },
  to: { type: 'string' },
  format: { type: 'string' },
  by: { type: 'string' },
} as const;

interface ExportFlags {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly format?: string | undefined;
  readonly by?: string | undefined;
}

async function ledgerIn(dataFolder: string): Promise<string> {
  const folder = join(dataFolder, 'ledger');
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory() !== true) throw new Error(`there is no ledger in \`${dataFolder}\`: no folder \`ledger\``);
  return folder;
}

async function exportLedgers(folders: readonly string[], flags: ExportFlags, io: Io): Promise<number> {
  const from = parseDay(flags.from, '--from');
  const to = parseDay(flags.to, '--to');
  if (from !== undefined && to !== undefined && from > to) throw new UsageError('--from is after --to');
  const { format = 'csv' } = flags;
  if (format !== 'csv' && format !== 'json') throw new UsageError(`--format ${format} is neither csv nor json`);
  let isDamaged = false;
  const onCorrupt = (file: string, line: number): void => {
    isDamaged = true;
    io.stderr(`${file}:${line}: the line was damaged and is left out\n`);
  };
  const range = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
  const pieces = exportUsage({ folders, onCorrupt, format, by: parseBy(flags.by), ...range });
  for await (const piece of pieces) io.stdout(piece);
  return isDamaged ? EXIT.failed : EXIT.ok;
}

function parseDay(text: string | undefined, flag: string): string | undefined {
  if (text === undefined) return undefined;
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text) ? new Date(`${text}T00:00:00Z`) : undefined;
  // 30 February is the 2 March to `Date`.
  if (day === undefined || Number.isNaN(day.getTime()) || day.toISOString().slice(0, 10) !== text) {
    throw new UsageError(`\`${flag} ${text}\` is no day: write 2027-01-31`);
  }
  return text;
}

function parseBy(text: string | undefined): readonly ExportDimension[] {
  if (text === undefined) return EXPORT_DIMENSIONS;
  const names = text.split(',');
  const known = names.flatMap((name) => EXPORT_DIMENSIONS.filter((dimension) => dimension === name));
  if (known.length !== names.length) throw new UsageError(`\`--by ${text}\` is no list of tenant, model and day`);
  if (new Set(known).size !== known.length) throw new UsageError(`\`--by ${text}\` names one twice`);
  return known;
}

async function tellVerdict(folder: string, io: Io): Promise<number> {
  const { segments, lines, defects, torn } = await verifyLedger(folder);
  for (const { file, line, message } of defects) io.stderr(`${file}:${line}: ${message}\n`);
  const tail = torn ? '; the last line is unfinished, as one is that is being written, and counts for nothing' : '';
  io.stdout(`${folder}: ${lines} lines in ${segments} files, ${defects.length} faults${tail}\n`);
  return defects.length === 0 ? EXIT.ok : EXIT.failed;
}
