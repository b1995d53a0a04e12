/** One file of the project: its path from the root, with `/`, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

export interface Import {
  /** `undefined` for a dynamic import whose target is computed. */
  readonly specifier: string | undefined;
  readonly typeOnly: boolean;
}

/** The code with comments, the contents of strings and of regexes blanked out; offsets and line ends stay. */
export function blank(text: string): string {
  const out = [...text.split('')];
  const erase = (from: number, to: number): void => {
    for (let at = from; at < to; at += 1) if (out[at] !== '\n') out[at] = ' ';
  };
  // Depths of braces at which a template literal's `${` was opened.
  const templates: number[] = [];
  let depth = 0;
  let at = 0;
  while (at < text.length) {
    const two = text.slice(at, at + 2);
    const one = text[at];
    if (two === '//') {
      const end = endOf(text, '\n', at);
      erase(at, end);
      at = end;
    } else if (two === '/*') {
      const end = endOf(text, '*/', at + 2) + 2;
      erase(at, end);
      at = end;
    } else if (one === "'" || one === '"') {
      const end = closing(text, at + 1, one);
      erase(at + 1, end);
      at = end + 1;
    } else if (one === '`' || (one === '}' && templates.at(-1) === depth)) {
      if (one === '}') templates.pop();
      const { end, hole } = templatePart(text, at + 1);
      erase(at + 1, end);
      if (hole) templates.push(depth);
      at = end + (hole ? 2 : 1);
    } else if (one === '/' && startsRegex(out, at)) {
      const end = regexEnd(text, at + 1);
      erase(at + 1, end);
      at = end + 1;
    } else {
      if (one === '{') depth += 1;
      if (one === '}') depth -= 1;
      at += 1;
    }
  }
  return out.join('');
}

/** Every import, re-export and dynamic import of a file. */
export function importsOf(text: string): readonly Import[] {
  const code = blank(text);
  const imports: Import[] = [];
  for (const match of code.matchAll(/\b(?:import|export)\s+(type\s+)?[^;'"`()]*?\bfrom\s*['"]|\bimport\s*['"]/g)) {
    imports.push({ specifier: stringAt(text, match.index + match[0].length), typeOnly: match[1] !== undefined });
  }
  for (const match of code.matchAll(/\b(?:import|require)\s*\(\s*(['"])?/g)) {
    const literal = match[1] === undefined ? undefined : stringAt(text, match.index + match[0].length);
    imports.push({ specifier: literal, typeOnly: false });
  }
  return imports;
}

/** The names that a file exports, by declaration or by list. */
export function exportedNames(text: string): readonly string[] {
  const code = blank(text);
  const declared = [
    ...code.matchAll(
      /\bexport\s+(?:default\s+)?(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:function\s*\*?|class|const|let|var|interface|type)\s+([\w$]+)/g,
    ),
  ].map((match) => match[1] ?? '');
  const listed = [...code.matchAll(/\bexport\s+(?:type\s+)?\{([^}]*)\}/g)]
    .flatMap((match) => (match[1] ?? '').split(','))
    .map((item) => item.trim().split(/\s+/).at(-1) ?? '')
    .filter((name) => name !== '');
  return [...declared, ...listed];
}

function stringAt(text: string, start: number): string {
  const end = text.slice(start).search(/['"]/);
  return text.slice(start, start + end);
}

function endOf(text: string, mark: string, from: number): number {
  const found = text.indexOf(mark, from);
  return found === -1 ? text.length : found;
}

function closing(text: string, from: number, quote: string): number {
  let at = from;
  while (at < text.length && text[at] !== quote && text[at] !== '\n') at += text[at] === '\\' ? 2 : 1;
  return at;
}

function templatePart(text: string, from: number): { readonly end: number; readonly hole: boolean } {
  let at = from;
  while (at < text.length && text[at] !== '`') {
    if (text[at] === '$' && text[at + 1] === '{') return { end: at, hole: true };
    at += text[at] === '\\' ? 2 : 1;
  }
  return { end: at, hole: false };
}

/** A slash divides after a value and opens a regex after anything else. */
function startsRegex(out: readonly string[], at: number): boolean {
  const before = out
    .slice(Math.max(0, at - 20), at)
    .join('')
    .trimEnd();
  if (before === '') return true;
  return /(?:^|\W)(?:return|typeof|case|in|of|void)$/.test(before) || !/[\w$)\]'"`}]$/.test(before);
}

function regexEnd(text: string, from: number): number {
  let at = from;
  let inClass = false;
  while (at < text.length && text[at] !== '\n' && (inClass || text[at] !== '/')) {
    if (text[at] === '[') inClass = true;
    if (text[at] === ']') inClass = false;
    at += text[at] === '\\' ? 2 : 1;
  }
  return at;
}
