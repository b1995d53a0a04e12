import { RegoNumber } from '../values/number.ts';
import { RegoObject } from '../values/object.ts';
import { RegoSet } from '../values/set.ts';
import { js, listed, type Source } from './source.ts';
import type { Constant } from './translation.ts';

/** What belongs to the whole source: constants, builtins, and cells that keep something between calls. */
export class Cells {
  readonly constants: Constant[] = [];
  readonly builtins: string[] = [];
  readonly #declarations: Source[] = [];
  readonly #variables: Source[] = [];
  readonly #byText = new Map<string, Source>();
  #count = 0;

  constant(constant: Constant): Source {
    const key = typeof constant === 'string' ? `"${constant}` : JSON.stringify(constant);
    const known = this.#byText.get(key);
    if (known !== undefined) return known;
    const cell = js`c${this.#count++}`;
    this.#declarations.push(js`${cell}=constant(${this.constants.length})`);
    this.constants.push(constant);
    this.#byText.set(key, cell);
    return cell;
  }

  builtin(name: string): Source {
    const key = `(${name}`;
    const known = this.#byText.get(key);
    if (known !== undefined) return known;
    const cell = js`c${this.#count++}`;
    this.#declarations.push(js`${cell}=builtin(${this.builtins.length})`);
    this.builtins.push(name);
    this.#byText.set(key, cell);
    return cell;
  }

  /** A table of rules, made when the policy is loaded. */
  table(index: number): Source {
    const cell = js`c${this.#count++}`;
    this.#declarations.push(js`${cell}=table(${index})`);
    return cell;
  }

  /** A list of generated functions. */
  functions(functions: readonly Source[]): Source {
    const cell = js`c${this.#count++}`;
    this.#declarations.push(js`${cell}=[${listed(functions)}]`);
    return cell;
  }

  variable(): Source {
    const cell = js`c${this.#count++}`;
    this.#variables.push(cell);
    return cell;
  }

  declarations(): Source {
    const constants = this.#declarations.length === 0 ? js`` : js`const ${listed(this.#declarations)};`;
    return this.#variables.length === 0 ? constants : js`${constants}let ${listed(this.#variables)};\n`;
  }
}

/** All that has members of its own that are no members of the value. */
const PROTOTYPES: readonly object[] = [
  Object.prototype,
  Array.prototype,
  String.prototype,
  Number.prototype,
  Boolean.prototype,
  RegoNumber.prototype,
  RegoObject.prototype,
  RegoSet.prototype,
];

/** What may find an item of an array, whether of JavaScript's or of OPA's store. */
const INDEX = /^[+-]?[0-9]*(?:\.0*)?$/;

/** Whether reading this property of any value gives the value's member or `undefined`. */
export function isPlainKey(key: string): boolean {
  return !INDEX.test(key) && !PROTOTYPES.some((prototype) => key in prototype);
}
