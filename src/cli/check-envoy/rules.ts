import { addressRules } from './address-rules.ts';
import { bodyRules } from './body-rules.ts';
import { readBootstrap } from './bootstrap.ts';
import { failureRules, rateLimitRules } from './failure-rules.ts';
import { headerRules } from './header-rules.ts';
import { orderRules } from './order-rules.ts';
import { pathRules } from './path-rules.ts';
import { peerRules } from './peer-rules.ts';
import { reachRules } from './reach-rules.ts';
import { routeRules } from './route-rules.ts';
import type { CheckOptions, Finding, Rule } from './rule.ts';
import { readSettings } from './setting.ts';
import { shapeRules } from './shape-rules.ts';

/** Every rule, in the order of docs/check-envoy.md. */
export const RULES: readonly Rule[] = [
  ...failureRules,
  ...rateLimitRules,
  ...bodyRules,
  ...pathRules,
  ...peerRules,
  ...addressRules,
  ...routeRules,
  ...headerRules,
  ...orderRules,
  ...reachRules,
  ...shapeRules,
];

/** What the rules find in the text of an Envoy config, from top to bottom. Throws `UnreadableConfig`. */
export function findingsOf(text: string, options: CheckOptions): readonly Finding[] {
  const bootstrap = readBootstrap(readSettings(text));
  const findings = new Map<string, Finding>();
  for (const { id, severity, check } of RULES) {
    check(
      bootstrap,
      ({ path, line, column }, name, told) => {
        // A part that is written once and used twice (an anchor, a route of two filters) is told once.
        const key = [id, line, column, name, told].join('\n');
        if (!findings.has(key)) findings.set(key, { rule: id, severity, name, path, line, column, text: told });
      },
      options,
    );
  }
  return [...findings.values()].sort((a, b) => a.line - b.line || a.column - b.column);
}
