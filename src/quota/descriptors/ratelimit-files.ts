import { readFileSync } from 'node:fs';
import type { DescriptorNode, DescriptorTable } from './descriptors.ts';
import { parseRateLimitYaml } from './ratelimit-yaml.ts';

export interface RateLimitFiles {
  readonly table: DescriptorTable;
  /** Such files must not be put in force; `file` is the place in the list. */
  readonly faults: readonly RateLimitFileRemark[];
  /** What is read and has no effect here. */
  readonly notes: readonly RateLimitFileRemark[];
}

export interface RateLimitFileRemark {
  readonly file: number;
  /** Names file and line. */
  readonly message: string;
}

/** Reads limits files of envoyproxy/ratelimit, a domain each. Never throws. */
export function loadRateLimitFiles(files: readonly string[]): RateLimitFiles {
  const domains = new Map<string, DescriptorNode>();
  const faults: RateLimitFileRemark[] = [];
  const notes: RateLimitFileRemark[] = [];
  for (const [file, path] of files.entries()) {
    const say = (remarks: RateLimitFileRemark[]) => (line: number, message: string) =>
      void remarks.push({ file, message: `\`${path}\`, line ${line}: ${message}` });
    const text = readText(path);
    if (text === undefined) {
      faults.push({ file, message: `\`${path}\` cannot be read` });
      continue;
    }
    const read = parseRateLimitYaml(text, { fault: say(faults), note: say(notes) });
    if (read === undefined) continue;
    if (domains.has(read.domain)) say(faults)(1, `the domain \`${read.domain}\` has a file already`);
    domains.set(read.domain, read.tree);
  }
  return { table: { domains }, faults, notes };
}

/** For the check of a config, at the path of the list of files. */
export function checkRateLimitFiles(
  path: string,
  files: readonly string[],
): readonly { readonly path: string; readonly message: string }[] {
  return loadRateLimitFiles(files).faults.map(({ file, message }) => ({ path: `${path}[${file}]`, message }));
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
