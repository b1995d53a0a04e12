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

/** Cases that cannot be read; names every fault, each with file, line and key. */
export class CaseError extends Error {
  override readonly name = 'CaseError';
  readonly faults: readonly CaseFault[];

  constructor(faults: readonly CaseFault[]) {
    super(faults.map(tell).join('\n'));
    this.faults = faults;
  }
}

function tell({ file, line, path, name, message }: CaseFault): string {
  const place = line === undefined ? file : `${file}:${line}`;
  const key = keyText(path);
  const whose = name === undefined ? '' : ` of case \`${name}\``;
  return `${place}: ${key === '' ? '' : `\`${key}\`${whose} `}${message}`;
}

function keyText(path: CasePath): string {
  // The first step is the number of the case.
  return path
    .slice(path.length > 1 ? 1 : 0)
    .map((step, at) => (typeof step === 'number' ? `[${step}]` : at === 0 ? step : `.${step}`))
    .join('');
}
