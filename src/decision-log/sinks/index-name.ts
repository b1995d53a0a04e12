/** Why a pattern names no index, `undefined` when it does. */
export function indexPatternFault(pattern: string): string | undefined {
  const name = pattern.replaceAll(PLACES, '0');
  if (NAME.test(name)) return undefined;
  return `\`${pattern}\` names no index: lower case, digits, \`-\`, \`_\`, \`.\`, and \`{yyyy}\`, \`{MM}\`, \`{dd}\``;
}

/** The index of an event of this time (RFC 3339 in UTC). */
export function indexName(pattern: string, timestamp: string): string {
  return pattern
    .replaceAll('{yyyy}', timestamp.slice(0, 4))
    .replaceAll('{MM}', timestamp.slice(5, 7))
    .replaceAll('{dd}', timestamp.slice(8, 10));
}

const PLACES = /\{(?:yyyy|MM|dd)\}/g;
const NAME = /^[a-z0-9][a-z0-9._-]{0,200}$/;
