import type { CasePath } from './case-fields.ts';

/** Something that a case file says wrongly. */
export interface CaseFault {
  readonly file: string;
  /** Counts from 1; absent where the file is not known by lines. */
  readonly line?: number;
  readonly path: CasePath;
  /** Of the case that it is in, where that much can be read. */
  readonly name?: string;
  readonly message: string;
}

/** Cases that cannot be read; names the faults, each with file, line and key: after {@link MAX_FAULTS} it is enough. */
export class CaseError extends Error {
  override readonly name = 'CaseError';
  readonly faults: readonly CaseFault[];

  constructor(faults: readonly CaseFault[]) {
    const told = faults.slice(0, MAX_FAULTS).map(tell);
    super([...told, ...(faults.length < MAX_FAULTS ? [] : ['there may be more'])].join('\n'));
    this.faults = faults;
  }
}

/** Nobody mends more of them at once, and a hostile file may have millions. */
export const MAX_FAULTS = 20;

/** Of what an author wrote himself, in characters. */
const MAX_SHOWN = 120;

function tell({ file, line, path, name, message }: CaseFault): string {
  const place = line === undefined ? file : `${file}:${line}`;
  const key = keyText(path);
  const whose = name === undefined ? '' : ` of case \`${name.slice(0, MAX_SHOWN)}\``;
  return `${place}: ${key === '' ? '' : `\`${key}\`${whose} `}${message}`;
}

function keyText(path: CasePath): string {
  // The first step is the number of the case.
  return path
    .slice(path.length > 1 ? 1 : 0)
    .map((step, at) => (typeof step === 'number' ? `[${step}]` : at === 0 ? step : `.${step}`))
    .join('')
    .slice(0, MAX_SHOWN);
}
