import { type Finding, RULES } from './findings.ts';
import { commentsOf, type Node } from './rego-module.ts';

/** Rules that comments switch off, by the line that they switch them off for. */
export type Ignores = ReadonlyMap<number, ReadonlySet<string>>;

const MARK = 'sallyport:ignore';

/** Reads `# sallyport:ignore RULE …`: it holds for its own line and the next. */
export function readIgnores(module: Node): { readonly ignores: Ignores; readonly faults: readonly Finding[] } {
  const ignores = new Map<number, Set<string>>();
  const faults: Finding[] = [];
  for (const [row, text] of commentsOf(module)) {
    if (!text.startsWith(MARK)) continue;
    const rules = text
      .slice(MARK.length)
      .split(/[\s,]+/)
      .filter((word) => word !== '');
    const unknown = rules.find((rule) => !RULES.some((known) => known === rule));
    if (rules.length === 0 || unknown !== undefined) {
      const what = unknown === undefined ? 'no rule is named' : `\`${unknown}\` is no rule`;
      faults.push({ rule: 'unknown-rule', row, column: 1, message: `${what}: name one of ${RULES.join(', ')}` });
    }
    for (const line of [row, row + 1]) ignores.set(line, new Set([...(ignores.get(line) ?? []), ...rules]));
  }
  return { ignores, faults };
}

export function isIgnored(ignores: Ignores, { rule, row }: Finding): boolean {
  return ignores.get(row)?.has(rule) === true;
}
